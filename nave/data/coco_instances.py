"""Reads an instances JSON in COCO's format in one pass (pycocotools' index keeps the outlines in memory)."""

import logging
import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from nave.data.folder import leads_out
from nave.data.interface import GroundTruth, MalformedDataError
from nave.data.reading import Box, clipped, read_text
from nave.strict_json import NoJSONError, parsed

_log = logging.getLogger(__name__)

Entry = dict[str, Any]
LONGEST = 2**31 - 1  # pixels that a side of an image may have
DIGITS = 18  # of an id that is text


@dataclass(frozen=True)
class Row:
    """One image of the JSON; ``size`` is (height, width)."""

    file_name: str
    size: tuple[int, int]
    truth: GroundTruth


@dataclass(frozen=True)
class Instances:
    """The images of the JSON, the names of its categories by id, and how many annotations were left out, by reason."""

    rows: list[Row]
    categories: dict[int, str]
    skipped: Counter[str]


def read_instances(file: Path, only: Collection[str] | None = None) -> Instances:
    """Reads the images of an instances JSON, in its order.

    Skips crowd regions, boxes without area in their image, and annotations of images that are not listed, as the
    official tools do; counts them. Ids are matched by value where they differ in type alone, such as ``"1"`` and 1.
    With ``only``, file names whose folders are ignored, just these images are read.

    Raises:
        MalformedDataError: for invalid JSON, missing or repeated entries, unknown categories, boxes that are not four
            numbers, and annotations of which nothing is left.
    """
    table = _load(file)
    images = _by_id(file, table, "images", "file_name", "height", "width")
    categories = {key: str(entry["name"]) for key, entry in _by_id(file, table, "categories", "name").items()}
    skipped: Counter[str] = Counter()
    objects = _objects(file, table, images, categories, skipped)
    names = _file_names(file, images)
    if only is not None:
        selected = {PurePosixPath(name).name for name in only}
        names = {key: name for key, name in names.items() if PurePosixPath(name).name in selected}
    rows = [_row(name, images[key], objects[key], skipped, f"{file}: image {key!r}") for key, name in names.items()]
    _log.info("%s: left out %s", file, dict(skipped) or "nothing")
    if skipped and not any(objects.values()):
        wrong, known = table["annotations"][0]["image_id"], next(iter(images), None)
        example = f"; the first has image_id {wrong!r}, the first image id {known!r}"
        raise MalformedDataError(f"{file}: none of its annotations is left, left out: {dict(skipped)}{example}")
    return Instances(rows, categories, skipped)


def _objects(
    file: Path, table: Entry, images: Mapping[Any, Entry], categories: Mapping[Any, str], skipped: Counter[str]
) -> dict[Any, list[tuple[Box, str]]]:
    objects: dict[Any, list[tuple[Box, str]]] = {key: [] for key in images}
    images_by_value, categories_by_value = _by_value(images), _by_value(categories)
    for number, annotation in enumerate(_entries(file, table, "annotations", "image_id", "category_id", "bbox")):
        place = f"{file}: annotations[{number}]"
        image = _known(annotation["image_id"], images, images_by_value)
        if image is None:
            skipped["boxes of images that are not listed"] += 1
        elif annotation.get("iscrowd"):
            skipped["crowd regions"] += 1
        else:
            category = _known(annotation["category_id"], categories, categories_by_value)
            if category is None:
                wrong = annotation["category_id"]
                raise MalformedDataError(f"{place}: category {wrong!r} is not among the categories")
            objects[image].append((_box(annotation, place), categories[category]))
    return objects


def _by_value(keys: Iterable[Any]) -> dict[int, Any]:
    """The ids by their value as integers; without those that are none, and those that two ids share."""
    found: dict[int, list[Any]] = {}
    for key in keys:
        if (value := _value(key)) is not None:
            found.setdefault(value, []).append(key)
    return {value: same[0] for value, same in found.items() if len(same) == 1}


def _value(key: Any) -> int | None:
    if isinstance(key, str):
        return int(key) if len(key) <= DIGITS and key.strip().isdecimal() else None
    return int(key) if isinstance(key, int) else None


def _known(key: Any, keys: Mapping[Any, Any], by_value: Mapping[int, Any]) -> Any:
    """The id that ``key`` means; None if there is none."""
    if isinstance(key, str | int | float) and key in keys:
        return key
    value = _value(key)
    return None if value is None else by_value.get(value)


def _file_names(file: Path, images: Mapping[Any, Entry]) -> dict[Any, str]:
    owner: dict[str, Any] = {}
    for key, image in images.items():
        path = PurePosixPath(str(image["file_name"]))
        if leads_out(path.as_posix()):
            raise MalformedDataError(f"{file}: image {key!r}: file_name {str(path)!r} leads out of its folder")
        if path.as_posix() in owner:
            both = f"{owner[path.as_posix()]!r} and {key!r}"
            raise MalformedDataError(f"{file}: {str(path)!r} is the file of two images, {both}")
        owner[path.as_posix()] = key
    return {key: name for name, key in owner.items()}


def _load(file: Path) -> Entry:
    try:
        table = parsed(read_text(file), file, object_hook=_without_outlines)
    except NoJSONError as error:
        raise MalformedDataError(str(error)) from error
    if not isinstance(table, dict):
        raise MalformedDataError(f"{file}: a {type(table).__name__}, not the object that an instances JSON is")
    return table


def _without_outlines(entry: Entry) -> Entry:
    entry.pop("segmentation", None)  # unused, and nine tenths of the memory
    return entry


def _entries(file: Path, table: Entry, key: str, *needed: str) -> list[Entry]:
    entries = table.get(key)
    if not isinstance(entries, list):
        raise MalformedDataError(f"{file}: no list {key!r}; an instances JSON has images, annotations, categories")
    for number, entry in enumerate(entries):
        if not isinstance(entry, dict) or any(name not in entry for name in needed):
            raise MalformedDataError(f"{file}: {key}[{number}] lacks one of {', '.join(needed)}")
    return entries


def _by_id(file: Path, table: Entry, key: str, *needed: str) -> dict[Any, Entry]:
    entries: dict[Any, Entry] = {}
    for number, entry in enumerate(_entries(file, table, key, "id", *needed)):
        if not isinstance(entry["id"], str | int | float):
            raise MalformedDataError(f"{file}: {key}[{number}] has the id {entry['id']!r}, no number and no text")
        if entry["id"] in entries:
            raise MalformedDataError(f"{file}: {key}[{number}] repeats id {entry['id']!r}")
        entries[entry["id"]] = entry
    return entries


def _box(annotation: Entry, place: str) -> Box:
    try:
        x, y, width, height = (float(number) for number in annotation["bbox"])
    except (TypeError, ValueError, OverflowError) as error:
        raise MalformedDataError(f"{place}: bbox {annotation['bbox']!r} is not [x, y, width, height]") from error
    if not all(map(math.isfinite, (x, y, width, height))):
        raise MalformedDataError(f"{place}: bbox {annotation['bbox']!r} is not finite")
    return x, y, x + width, y + height


def _row(name: str, image: Entry, objects: list[tuple[Box, str]], skipped: Counter[str], place: str) -> Row:
    size = (image["height"], image["width"])
    if not all(type(side) is int and 0 < side <= LONGEST for side in size):
        raise MalformedDataError(f"{place}: height {size[0]!r} and width {size[1]!r} are no numbers of pixels")
    boxes = clipped([box for box, _ in objects], size)
    keep = (boxes[:, 0] < boxes[:, 2]) & (boxes[:, 1] < boxes[:, 3])
    if not keep.all():
        skipped["boxes without area in their image"] += int((~keep).sum())
    classes = tuple(category for (_, category), kept in zip(objects, keep, strict=True) if kept)
    return Row(name, size, GroundTruth(boxes[keep], classes, (False,) * len(classes)))
