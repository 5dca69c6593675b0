"""Which images a protocol counts."""

from collections.abc import Iterable
from dataclasses import replace

from nave.metrics.prediction import GroundTruth, Prediction


def with_truth(images: Iterable[Prediction], *, hard: bool = True) -> list[Prediction]:
    """Keep the images whose ground truth is known.

    `hard=False` also removes difficult and truncated boxes, and every image that this leaves without a box
    (LOST's option). Images known to hold no object stay: average precision counts their boxes as wrong.
    """
    known = [image for image in images if image.truth is not None]
    return known if hard else [easy for image in known if (easy := _without_hard(image)) is not None]


def with_objects(images: Iterable[Prediction]) -> list[Prediction]:
    """Keep the images that hold an object: the others can be neither hit nor missed."""
    return [image for image in images if image.truth is not None and len(image.truth.boxes)]


def truth_of(image: Prediction) -> GroundTruth:
    """Ground truth of an image that must have one; raises ValueError naming the image that has none."""
    if image.truth is None:
        raise ValueError(f"no ground truth is known for {image.image_id!r}: select images with `with_truth`")
    return image.truth


def _without_hard(image: Prediction) -> Prediction | None:
    truth = truth_of(image)
    if not truth.hard.any():
        return image
    return None if truth.hard.all() else replace(image, truth=truth.where(~truth.hard))
