"""One annotation file of PASCAL VOC."""

import xml.etree.ElementTree as ET
from pathlib import Path

from nave.data.boxes import Box, checked
from nave.data.errors import MalformedData
from nave.data.photograph import Truth


def read_annotation(file: Path, size: tuple[int, int]) -> Truth:
    """The objects in `file` for an image of `size` (height, width); the file's own size is not asked.

    Raises MalformedData, with file and object, for broken XML, missing tags and boxes that are none.
    """
    objects = _parse(file).findall("object")
    where = [f"{file}: object {number}" for number in range(1, len(objects) + 1)]
    return Truth(
        checked([_box(*both) for both in zip(objects, where, strict=True)], size, where),
        tuple(_text(item, "name", place) for item, place in zip(objects, where, strict=True)),
        tuple(_flag(item, "difficult") or _flag(item, "truncated") for item in objects),
    )


def _parse(file: Path) -> ET.Element:
    try:
        return ET.parse(file).getroot()
    except FileNotFoundError as error:
        raise MalformedData(f"{file}: no such file") from error
    except (
        ET.ParseError,
        LookupError,
        ValueError,
    ) as error:  # the last two: encodings that expat does not know
        raise MalformedData(f"{file}: broken XML: {error}") from error


def _text(item: ET.Element, tag: str, where: str) -> str:
    text = item.findtext(tag)
    if text is None:
        raise MalformedData(f"{where}: <{tag}> is missing")
    return text.strip()


def _flag(item: ET.Element, tag: str) -> bool:
    return (item.findtext(tag) or "0").strip() == "1"


def _box(item: ET.Element, where: str) -> Box:
    bounds = item.find("bndbox")
    if bounds is None:
        raise MalformedData(f"{where}: <bndbox> is missing")
    x1, y1, x2, y2 = (_number(bounds, tag, where) for tag in ("xmin", "ymin", "xmax", "ymax"))
    return x1 - 1, y1 - 1, x2, y2


def _number(bounds: ET.Element, tag: str, where: str) -> float:
    text = _text(bounds, tag, where)
    try:
        return float(text)
    except ValueError as error:
        raise MalformedData(f"{where}: <{tag}> is {text!r}, no number") from error
