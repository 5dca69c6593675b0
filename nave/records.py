"""What a run says of one image, as a line of predictions.jsonl."""

import math
from typing import Any

from nave.data.photograph import Truth
from nave.localization.components import Box
from nave.module import Explanation


def record(explanation: Explanation, truth: Truth | None) -> dict[str, Any]:
    """One JSON object; boxes are xyxy, half-open, in pixels of the original image."""
    height, width = explanation.size
    map_height, map_width = explanation.labels.shape
    scale = (width / map_width, height / map_height)
    return {
        "image_id": explanation.image_id,
        "width": width,
        "height": height,
        "k": explanation.k,
        "clusters": int(explanation.labels.max()) + 1,
        "inertia": _rounded(explanation.inertia),
        "box": _scaled(explanation.localization.box, scale),
        "components": [
            {
                "cluster": component.cluster,
                "area": round(component.area * scale[0] * scale[1]),
                "score": _rounded(score),
                "box": _scaled(component.box, scale),
                "inner_box": _scaled(component.inner_box, scale),
            }
            for component, score in explanation.localization.components
        ],
        "truth": None if truth is None else _truth(truth),
    }


def _truth(truth: Truth) -> dict[str, Any]:
    boxes = [[_plain(side) for side in box] for box in truth.boxes.tolist()]
    return {"boxes": boxes, "classes": list(truth.classes), "hard": list(truth.hard)}


def _scaled(box: Box, scale: tuple[float, float]) -> list[float]:
    return [_plain(round(side * scale[axis % 2], 3)) for axis, side in enumerate(box)]


def _plain(number: float) -> float:
    """Whole numbers as integers: shorter lines, the same value."""
    return int(number) if float(number).is_integer() else number


def _rounded(number: float) -> float:
    """Seven significant digits, what float32 carries."""
    return number if number == 0 or not math.isfinite(number) else float(f"{number:.7g}")
