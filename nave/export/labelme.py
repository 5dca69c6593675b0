"""Annotation files of labelme, one an image: the components as masks, the boxes as rectangles."""

import base64
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool
from PIL import Image

from nave.export.images import Images
from nave.export.masks import component_masks, mask_box
from nave.runs.files import encoded, write_json
from nave.runs.prediction import BoxLine, Line
from nave.runs.reader import RunAtK

VERSION = "5.5.0"  # of the format: the first line of labelme's files; 5.2 brought masks


def write_labelme(at_k: RunAtK, images: Images, folder: Path) -> None:
    """Writes the files of one run at one K: ``<image_id>.json``.

    Raises:
        FileNotFoundError, ValueError: As :func:`component_masks` and :class:`Images`.
    """
    for line in at_k.lines.values():
        path = folder / f"{line['image_id']}.json"
        content: dict[str, Any] = {
            "version": VERSION,
            "flags": {},
            "shapes": _shapes(at_k, line),
            "imagePath": images.path(line["image_id"], path.parent),
            "imageData": None,
            "imageHeight": line["height"],
            "imageWidth": line["width"],
        }
        write_json(path, content)


def _shapes(at_k: RunAtK, line: Line) -> list[dict[str, Any]]:
    masks = [
        _mask(f"cluster {component['cluster']}", mask, component["score"])
        for component, mask in component_masks(at_k, line)
        if mask.any()
    ]
    found = [_rectangle("detection", entry["box"], entry["score"]) for entry in line.get("detections", ())]
    truth = line["truth"]
    named = [] if truth is None else list(zip(truth["classes"], truth["boxes"], strict=True))
    return [*masks, *found, *(_rectangle(name, box) for name, box in named), _rectangle("box", line["box"])]


def _shape(name: str, kind: str, points: list[list[float]], score: float | None) -> dict[str, Any]:
    description = "" if score is None else f"score {score}"
    shape = {"label": name, "points": points, "group_id": None, "description": description}
    return shape | {"shape_type": kind, "flags": {}, "mask": None}


def _rectangle(name: str, box: BoxLine, score: float | None = None) -> dict[str, Any]:
    return _shape(name, "rectangle", [box[:2], box[2:]], score)


def _mask(name: str, mask: Bool[np.ndarray, "H W"], score: float) -> dict[str, Any]:
    """The mask inside its box, whose corners are its first and its last pixel."""
    x1, y1, x2, y2 = mask_box(mask)
    content = encoded(Image.fromarray(mask[y1:y2, x1:x2]), "PNG")
    shape = _shape(name, "mask", [[x1, y1], [x2 - 1, y2 - 1]], score)
    return shape | {"mask": base64.b64encode(content).decode()}
