"""What a run says about one image, as plain arrays: the input of every box metric."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float


@dataclass(frozen=True, eq=False)
class GroundTruth:
    """The objects of one image; boxes are xyxy in pixels of the original image, half-open."""

    boxes: Float[np.ndarray, "M 4"]
    classes: tuple[str, ...]
    hard: Bool[np.ndarray, " M"]  # VOC difficult or truncated

    def where(self, kept: Bool[np.ndarray, " M"]) -> "GroundTruth":
        """The objects at which `kept` is true."""
        classes = tuple(name for name, keep in zip(self.classes, kept, strict=True) if keep)
        return GroundTruth(self.boxes[kept], classes, self.hard[kept])


@dataclass(frozen=True, eq=False)
class Prediction:
    """One image's boxes (xyxy, pixels of the original image, half-open) beside its ground truth."""

    image_id: str
    box: Float[np.ndarray, "4"] | None  # the one box; None: no component, nothing was chosen
    boxes: Float[np.ndarray, "P 4"]
    inner_boxes: Float[np.ndarray, "P 4"]
    scores: Float[np.ndarray, " P"]
    truth: GroundTruth | None  # None: nothing is known; no boxes: the image holds no object

    @classmethod
    def from_line(cls, line: Mapping[str, Any]) -> "Prediction":
        """Read one record of predictions.jsonl; raises ValueError that names the image and what is wrong."""
        try:
            return cls(
                image_id=line["image_id"],
                box=None if line["box"] is None else _boxes([line["box"]])[0],
                boxes=_boxes([component["box"] for component in line["components"]]),
                inner_boxes=_boxes([component["inner_box"] for component in line["components"]]),
                scores=_finite([component["score"] for component in line["components"]]),
                truth=None if line["truth"] is None else _ground_truth(line["truth"]),
            )
        except KeyError as missing:
            image = line.get("image_id", "no image_id")
            raise ValueError(f"prediction of {image!r} has no key {missing}: write the run again") from missing
        except (TypeError, ValueError) as wrong:
            raise ValueError(f"prediction of {line.get('image_id')!r}: {wrong}") from wrong


def _ground_truth(truth: Mapping[str, Any]) -> GroundTruth:
    boxes, classes, hard = _boxes(truth["boxes"]), tuple(truth["classes"]), np.array(truth["hard"], bool)
    if not len(boxes) == len(classes) == len(hard):
        raise ValueError(f"truth has {len(boxes)} boxes, {len(classes)} classes and {len(hard)} hard flags")
    return GroundTruth(boxes, classes, hard)


def _boxes(rows: list[Any]) -> Float[np.ndarray, "n 4"]:
    if any(len(row) != 4 for row in rows):
        raise ValueError(f"a box needs four numbers x1, y1, x2, y2: {rows}")
    boxes = _finite(rows).reshape(-1, 4)
    if (boxes[:, 2:] < boxes[:, :2]).any():
        raise ValueError(f"a box needs x1 <= x2 and y1 <= y2: {rows}")
    return boxes


def _finite(numbers: list[Any]) -> Float[np.ndarray, "..."]:
    array = np.array(numbers, np.float64)
    if not np.isfinite(array).all():
        raise ValueError(f"boxes and scores must be finite: {numbers}")
    return array
