"""Reads an annotation file of PASCAL VOC."""

import math
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path

from nave.data.interface import GroundTruth, MalformedDataError
from nave.data.reading import Box, Fit, checked, leaves


@dataclass(frozen=True)
class Annotation:
    """The content of one annotation file.

    VOC writes boxes from 1 with both ends inside; ``xmin, ymin`` minus 1 makes them half-open from 0, as LOST does.

    Args:
        boxes: in the pixels of ``size``.
        hard: True for difficult and truncated objects.
        where: file and object of each box.
        size: (height, width) of the image as the annotator saw it; None if the file gives none, or one that its own
            boxes leave.
    """

    boxes: list[Box]
    classes: tuple[str, ...]
    hard: tuple[bool, ...]
    where: list[str]
    size: tuple[int, int] | None

    def truth(self, image: Fit) -> GroundTruth:
        """The objects in pixels of the image; raises MalformedDataError for invalid boxes, naming the object."""
        return GroundTruth(checked(image.boxes(self.boxes), image.size, self.where), self.classes, self.hard)


def read_annotation(file: Path) -> Annotation:
    """Reads one annotation file.

    Raises:
        MalformedDataError: for broken XML, missing tags and what is no number; names the file and the object.
    """
    root = _parse(file)
    objects = root.findall("object")
    where = [f"{file}: object {number}" for number in range(1, len(objects) + 1)]
    boxes = [_box(*both) for both in zip(objects, where, strict=True)]
    size = _size(root, f"{file}: size")
    return Annotation(
        boxes,
        tuple(_text(item, "name", place) for item, place in zip(objects, where, strict=True)),
        tuple(_flag(item, "difficult") or _flag(item, "truncated") for item in objects),
        where,
        None if size is None or any(leaves(box, size) for box in boxes) else size,
    )


def _size(root: ET.Element, where: str) -> tuple[int, int] | None:
    size = root.find("size")
    if size is None or any(size.find(side) is None for side in ("height", "width")):
        return None
    height, width = (_number(size, side, where) for side in ("height", "width"))
    return (int(height), int(width)) if all(1 <= side < math.inf for side in (height, width)) else None


def _parse(file: Path) -> ET.Element:
    try:
        return ET.parse(file).getroot()
    except FileNotFoundError as error:
        raise MalformedDataError(f"{file}: no such file") from error
    except (ET.ParseError, LookupError, ValueError) as error:  # the last two: encodings that expat does not know
        raise MalformedDataError(f"{file}: broken XML: {error}") from error


def _text(item: ET.Element, tag: str, where: str) -> str:
    text = item.findtext(tag)
    if text is None:
        raise MalformedDataError(f"{where}: <{tag}> is missing")
    return text.strip()


def _flag(item: ET.Element, tag: str) -> bool:
    return (item.findtext(tag) or "0").strip() == "1"


def _box(item: ET.Element, where: str) -> Box:
    bounds = item.find("bndbox")
    if bounds is None:
        raise MalformedDataError(f"{where}: <bndbox> is missing")
    x1, y1, x2, y2 = (_number(bounds, tag, where) for tag in ("xmin", "ymin", "xmax", "ymax"))
    return x1 - 1, y1 - 1, x2, y2


def _number(bounds: ET.Element, tag: str, where: str) -> float:
    text = _text(bounds, tag, where)
    try:
        return float(text)
    except ValueError as error:
        raise MalformedDataError(f"{where}: <{tag}> is {text!r}, no number") from error
