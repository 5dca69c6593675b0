"""Correct localisation: one box an image, chosen without ground truth (LOST, TokenCut, FOUND)."""

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
from jaxtyping import Bool

from nave.metrics.bootstrap import Score, score, share
from nave.metrics.overlap import overlaps
from nave.metrics.prediction import GroundTruth, Prediction
from nave.metrics.selection import truth_of, with_objects, with_truth

NO_BOX = np.empty((0, 4))
SMALL, LARGE = 32**2, 96**2  # COCO's areas in square pixels; a bound belongs to the larger size


def corloc_hits(images: Sequence[Prediction], *, iou: float = 0.5) -> Bool[np.ndarray, " N"]:
    """Whether the one box overlaps any object by at least `iou`; an image without a box is a miss."""
    return np.array([found.any() for found in _found(images, iou)], bool)


def corloc_per_class(
    images: Iterable[Prediction], *, iou: float = 0.5, hard: bool = True, seed: int = 0
) -> dict[str, Score]:
    """CorLoc of every class, over the images that hold it: the one box must hit an object *of that class*."""
    return _per_group(images, _by_class, iou=iou, hard=hard, seed=seed)


def corloc_per_size(
    images: Iterable[Prediction], *, iou: float = 0.5, hard: bool = True, seed: int = 0
) -> dict[str, Score]:
    """CorLoc of `small`, `medium`, `large` objects (COCO's areas, of the box): a hit must be of that size."""
    return _per_group(images, _by_size, iou=iou, hard=hard, seed=seed)


def _per_group(
    images: Iterable[Prediction],
    group: Callable[[GroundTruth], Mapping[str, Bool[np.ndarray, " M"]]],
    *,
    iou: float,
    hard: bool,
    seed: int,
) -> dict[str, Score]:
    counted = sorted(with_objects(with_truth(images, hard=hard)), key=lambda image: image.image_id)
    hits: dict[str, list[bool]] = {}
    for image, found in zip(counted, _found(counted, iou), strict=True):
        for name, members in group(truth_of(image)).items():
            hits.setdefault(name, []).append(bool(found[members].any()))
    return {name: score(share(np.array(hits[name])), len(hits[name]), seed=seed) for name in sorted(hits)}


def _found(images: Sequence[Prediction], iou: float) -> list[Bool[np.ndarray, " M"]]:
    """Which objects of each image its one box hits."""
    boxes = [NO_BOX if image.box is None else image.box[None] for image in images]
    each = overlaps(boxes, [truth_of(image).boxes for image in images])
    return [np.asarray((overlap >= iou).any(axis=0)) for overlap in each]


def _by_class(truth: GroundTruth) -> dict[str, Bool[np.ndarray, " M"]]:
    names = np.array(truth.classes)
    return {name: names == name for name in set(truth.classes)}


def _by_size(truth: GroundTruth) -> dict[str, Bool[np.ndarray, " M"]]:
    areas = np.prod(truth.boxes[:, 2:] - truth.boxes[:, :2], axis=1)
    size = np.digitize(areas, [SMALL, LARGE])
    return {name: size == place for place, name in enumerate(("small", "medium", "large")) if (size == place).any()}
