"""Result files and ground truth of COCO, as pycocotools reads them.

::

    annotations.json  images and ground truth; every object is of the one category, its class is an extra key
    bbox.json         the ranked boxes: those of the foreground head if there is one, else of all components
    segm.json         the components, as run-length encoded masks
    one_box.json      the one box of each image, with score 1

``COCO("annotations.json").loadRes("bbox.json")`` and ``COCOeval`` then give the class-agnostic AP.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Int
from pycocotools import mask as rle

from nave.export.images import Images
from nave.export.masks import component_masks, mask_box, xywh
from nave.metrics.prediction import overlaps
from nave.runs.files import write_json
from nave.runs.prediction import Line
from nave.runs.reader import RunAtK

CATEGORY = 1
FITS = 0.5  # overlap from which on a mask's box is that of an object


def write_coco(at_k: RunAtK, images: Images, folder: Path) -> None:
    """Writes the files of one run at one K.

    Raises:
        FileNotFoundError, ValueError: As :func:`component_masks` and :class:`Images`.
    """
    numbers = image_numbers(list(at_k.lines))
    lines = list(at_k.lines.values())
    write_json(folder / "annotations.json", annotations(lines, numbers, images, folder))
    write_json(folder / "bbox.json", [box for line in lines for box in ranked(line, numbers[line["image_id"]])])
    write_json(folder / "segm.json", [mask for line in lines for mask in _masks(at_k, line, numbers[line["image_id"]])])
    write_json(folder / "one_box.json", [_result(numbers[line["image_id"]], line["box"], 1.0) for line in lines])


def image_numbers(image_ids: Sequence[str]) -> dict[str, int]:
    """COCO's numbers of images: that at the end of the id, as in COCO itself, or from 1 on if those do not differ."""
    ends = [re.search(r"\d+$", image_id) for image_id in image_ids]
    numbers = [int(end[0]) for end in ends if end]
    if len(set(numbers)) < len(image_ids):
        numbers = list(range(1, len(image_ids) + 1))
    return dict(zip(image_ids, numbers, strict=True))


def annotations(lines: Sequence[Line], numbers: Mapping[str, int], images: Images, folder: Path) -> dict[str, Any]:
    """The content of annotations.json; ``difficult`` is PASCAL VOC's flag.

    The segmentation of an object is its mask where the data set has one, else its box.
    """
    objects = [entry for line in lines for entry in _objects(line, numbers[line["image_id"]], images)]
    return {
        "info": {"description": "written by nave.export"},
        "images": [
            {
                "id": numbers[line["image_id"]],
                "file_name": images.path(line["image_id"], folder),
                "width": line["width"],
                "height": line["height"],
                "image_id": line["image_id"],
            }
            for line in lines
        ],
        "categories": [{"id": CATEGORY, "name": "object"}],
        "annotations": [{"id": number} | entry for number, entry in enumerate(objects, 1)],
    }


def ranked(line: Line, number: int) -> list[dict[str, Any]]:
    """The boxes of one image that average precision ranks."""
    boxes = line["detections"] if "detections" in line else line["components"]
    return [_result(number, box["box"], box["score"]) for box in boxes]


def _result(number: int, box: list[float], score: float) -> dict[str, Any]:
    return {"image_id": number, "category_id": CATEGORY, "bbox": xywh(box), "score": score}


def _masks(at_k: RunAtK, line: Line, number: int) -> Iterator[dict[str, Any]]:
    for component, mask in component_masks(at_k, line):
        yield {
            "image_id": number,
            "category_id": CATEGORY,
            "segmentation": encoded(mask),
            "score": component["score"],
            "cluster": component["cluster"],
        }


def encoded(mask: Bool[np.ndarray, "H W"]) -> dict[str, Any]:
    """COCO's compressed run-length encoding, for JSON."""
    code = rle.encode(np.asfortranarray(mask, np.uint8))
    return {"size": list(mask.shape), "counts": code["counts"].decode()}


def _objects(line: Line, number: int, images: Images) -> Iterator[dict[str, Any]]:
    truth = line["truth"]
    if truth is None or not truth["boxes"]:
        return
    masks = object_masks(truth["boxes"], images.object_mask(line["image_id"]))
    for box, name, hard, mask in zip(truth["boxes"], truth["classes"], truth["hard"], masks, strict=True):
        x, y, width, height = xywh(box)
        rectangle = [[x, y, x + width, y, x + width, y + height, x, y + height]]
        yield {
            "image_id": number,
            "category_id": CATEGORY,
            "bbox": [x, y, width, height],
            "segmentation": rectangle if mask is None else encoded(mask),
            "area": width * height if mask is None else int(mask.sum()),
            "iscrowd": 0,
            "class": name,
            "difficult": int(hard),
        }


def object_masks(
    boxes: Sequence[list[float]], objects: Int[np.ndarray, "H W"] | None
) -> list[Bool[np.ndarray, "H W"] | None]:
    """The mask of each box: of the object whose own box overlaps it most; None if none fits."""
    numbers = [] if objects is None else [number for number in np.unique(objects) if number not in (0, 255)]
    if objects is None or not numbers:
        return [None] * len(boxes)
    masks = [objects == number for number in numbers]
    (iou,) = overlaps([np.array(boxes, float)], [np.array([mask_box(mask) for mask in masks], float)])
    return [masks[row.argmax()] if row.max() >= FITS else None for row in iou]
