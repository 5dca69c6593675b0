"""CorLoc of groups of objects: of every class, and of small, medium and large ones."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from jaxtyping import Bool

from nave.data.interface import GroundTruth
from nave.metrics.bootstrap import Score, proportion_of
from nave.metrics.prediction import Prediction, truth_of, with_objects, with_truth
from nave.metrics.protocols import hit_objects

SMALL, LARGE = 32**2, 96**2  # COCO's areas in square pixels; a boundary belongs to the larger size
Group = Callable[[GroundTruth], Mapping[str, Bool[np.ndarray, " M"]]]  # which objects are members of each


class GroupTally:
    """CorLoc of every group of objects over its images: the one box must hit an object *of that group*.

    Takes some images at a time, of which a byte each is kept.

    Args:
        group: :func:`by_class` or :func:`by_size`.
        iou, hard: see :class:`nave.metrics.protocols.BoxTally`.
    """

    def __init__(self, group: Group, *, iou: float = 0.5, hard: bool = True) -> None:
        self._group, self._iou, self._hard = group, iou, hard
        self._hits: dict[str, bytearray] = {}

    def add(self, images: Sequence[Prediction]) -> None:
        """Adds the next images."""
        counted = with_objects(with_truth(images, hard=self._hard))
        for image, objects in zip(counted, hit_objects(counted, self._iou), strict=True):
            for name, members in self._group(truth_of(image)).items():
                self._hits.setdefault(name, bytearray()).append(bool(objects[members].any()))

    def scores(self) -> dict[str, Score]:
        """The score of every group, by name."""
        return {name: proportion_of(sum(hits), len(hits)) for name, hits in sorted(self._hits.items())}


def by_class(truth: GroundTruth) -> dict[str, Bool[np.ndarray, " M"]]:
    """Groups objects by their class."""
    names = np.array(truth.classes)
    return {name: names == name for name in set(truth.classes)}


def by_size(truth: GroundTruth) -> dict[str, Bool[np.ndarray, " M"]]:
    """Groups objects by the area of their boxes as in COCO: ``small``, ``medium``, ``large``."""
    areas = np.prod(truth.boxes[:, 2:] - truth.boxes[:, :2], axis=1)
    size = np.digitize(areas, [SMALL, LARGE])
    return {name: size == index for index, name in enumerate(("small", "medium", "large")) if (size == index).any()}
