"""The input of box metrics: predicted boxes with ground truth, and the overlap of boxes."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float64
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from torchvision.ops import box_iou

from nave.data.interface import GroundTruth


@dataclass(frozen=True, eq=False)
class Prediction:
    """Predicted boxes and ground truth of one image; boxes are xyxy, half-open, in pixels of the original image.

    ``boxes``, ``inner_boxes`` and ``scores`` are those of the components; ``detections`` are what is ranked instead of
    them, boxes with their scores, if a foreground head has found some. ``on_object`` is the part of each component's
    pixels that shows an object (NaN: unknown), if the image has a mask.
    """

    image_id: str
    box: Float[np.ndarray, "4"] | None  # the one chosen box; None: no component
    boxes: Float[np.ndarray, "P 4"]
    inner_boxes: Float[np.ndarray, "P 4"]
    scores: Float[np.ndarray, " P"]
    truth: GroundTruth | None  # None: unknown; without boxes: the image contains no object
    detections: tuple[Float[np.ndarray, "D 4"], Float[np.ndarray, " D"]] | None = None
    on_object: Float[np.ndarray, " P"] | None = None

    @property
    def ranked(self) -> tuple[Float[np.ndarray, "n 4"], Float[np.ndarray, " n"]]:
        """The boxes that are ranked, with their scores."""
        return self.detections or (self.boxes, self.scores)

    @classmethod
    def from_line(cls, line: Mapping[str, Any]) -> "Prediction":
        """Converts a record of predictions.jsonl.

        Raises:
            ValueError: for a malformed record, naming the image and the fault.
        """
        try:
            return cls(
                image_id=line["image_id"],
                box=None if line["box"] is None else _boxes([line["box"]])[0],
                boxes=_boxes([component["box"] for component in line["components"]]),
                inner_boxes=_boxes([component["inner_box"] for component in line["components"]]),
                scores=_finite([component["score"] for component in line["components"]]),
                truth=None if line["truth"] is None else _ground_truth(line["truth"]),
                detections=_detections(line["detections"]) if "detections" in line else None,
                on_object=_on_object(line["components"]),
            )
        except KeyError as missing:
            image = line.get("image_id", "no image_id")
            raise ValueError(f"prediction of {image!r} has no key {missing}: write the run again") from missing
        except (TypeError, ValueError) as wrong:
            raise ValueError(f"prediction of {line.get('image_id')!r}: {wrong}") from wrong


def _ground_truth(truth: Mapping[str, Any]) -> GroundTruth:
    return GroundTruth(_boxes(truth["boxes"]), tuple(truth["classes"]), tuple(map(bool, truth["hard"])))


def _detections(lines: list[Any]) -> tuple[Float[np.ndarray, "D 4"], Float[np.ndarray, " D"]]:
    return _boxes([line["box"] for line in lines]), _finite([line["score"] for line in lines])


def _on_object(components: list[Any]) -> Float[np.ndarray, " P"] | None:
    if not any("object" in component for component in components):
        return None
    return np.array([component.get("object", np.nan) for component in components], np.float64)


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


def with_truth(images: Iterable[Prediction], *, hard: bool = True) -> list[Prediction]:
    """Selects the images with known ground truth.

    Images without objects remain, as average precision counts their boxes as false positives.

    Args:
        hard: False removes difficult and truncated boxes, and the images that lose all their boxes (as in LOST).
    """
    known = [image for image in images if image.truth is not None]
    return known if hard else [easy for image in known if (easy := _without_hard(image)) is not None]


def with_objects(images: Iterable[Prediction]) -> list[Prediction]:
    """Selects the images that contain an object; the others can be neither hit nor missed."""
    return [image for image in images if image.truth is not None and len(image.truth.boxes)]


def truth_of(image: Prediction) -> GroundTruth:
    """Returns the ground truth of an image; raises ValueError if it is unknown, naming the image."""
    if image.truth is None:
        raise ValueError(f"no ground truth is known for {image.image_id!r}: select images with `with_truth`")
    return image.truth


def _without_hard(image: Prediction) -> Prediction | None:
    truth = truth_of(image)
    if not any(truth.hard):
        return image
    return None if all(truth.hard) else replace(image, truth=truth.where(~np.array(truth.hard)))


CHUNK = 256  # images per call; the overhead of one call is twenty times the arithmetic of one image


def chunks(images: Iterable[Prediction]) -> Iterator[list[Prediction]]:
    """Some images at a time, so that those of a large data set need not be in memory together."""
    rest = iter(images)
    while chunk := list(islice(rest, CHUNK)):
        yield chunk


def overlaps(
    boxes: Sequence[Float[np.ndarray, "_ 4"]], others: Sequence[Float[np.ndarray, "_ 4"]]
) -> list[Float64[np.ndarray, "P M"]]:
    """Computes the intersection over union of ``boxes`` and ``others``, image by image; 0 for two boxes without area.

    In float64, so that boxes with integer corners meet a threshold such as 0.5 exactly.
    """
    ious: list[Float64[np.ndarray, "P M"]] = []
    for start in range(0, len(boxes), CHUNK):
        chunk, other_chunk = boxes[start : start + CHUNK], others[start : start + CHUNK]
        padded = torch.vmap(box_iou)(_pad(chunk), _pad(other_chunk)).nan_to_num_().numpy()
        ious += [iou[: len(a), : len(b)] for iou, a, b in zip(padded, chunk, other_chunk, strict=True)]
    return ious


def _pad(boxes: Sequence[Float[np.ndarray, "_ 4"]]) -> Float64[Tensor, "N most 4"]:
    return pad_sequence([torch.from_numpy(np.array(image, np.float64)) for image in boxes], batch_first=True)


def best_overlap(image: Prediction) -> float | None:
    """Returns the largest overlap of the one box with a true box; None without the one or the other."""
    return best_overlap_each([image])[0]


def best_overlap_each(images: Sequence[Prediction]) -> list[float | None]:
    """Returns :func:`best_overlap` of every image."""
    pairs = [(image.box, image.truth.boxes) for image in images if image.box is not None and image.truth is not None]
    known = iter(overlaps([box[None] for box, _ in pairs], [boxes for _, boxes in pairs]))
    found = [None if image.box is None or image.truth is None else next(known) for image in images]
    return [float(ious.max()) if ious is not None and ious.size else None for ious in found]
