"""Class-agnostic COCO average precision and recall under any resampling of the images.

The resampling is a weight per image, so matching is done once and each resample costs two cumulative sums.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from nave.metrics.overlap import overlaps
from nave.metrics.prediction import Prediction
from nave.metrics.selection import truth_of

IOUS = np.linspace(0.5, 0.95, 10)
RECALLS = np.linspace(0, 1, 101)
DEEPEST = 100  # boxes an image that count, best first


@dataclass(frozen=True, eq=False)
class Ranking:
    """All boxes of a set of images ranked together, and which of them find an object at IoU 0.5."""

    image: Int[np.ndarray, " n"]  # index of each box's image, best box first
    right: Int[np.ndarray, " r"]  # ranks of the boxes that find an object
    found: Int[np.ndarray, " N"]  # objects of each image found, summed over the ten IoUs 0.5, 0.55 … 0.95
    objects: Int[np.ndarray, " N"]

    def average_precision(self, counts: Int[np.ndarray, " N"]) -> float:
        """AP at IoU 0.5, percent, interpolated at 101 recalls; NaN when no object is left."""
        objects = int(counts @ self.objects)
        if objects == 0:
            return math.nan
        right = np.cumsum(counts[self.image[self.right]])
        ranked = np.cumsum(counts[self.image])[self.right]
        precision = np.maximum.accumulate((right / np.maximum(ranked, 1))[::-1])[::-1]
        reached = np.searchsorted(right / objects, RECALLS)
        return 100 * float(precision[reached[reached < len(right)]].sum()) / len(RECALLS)

    def average_recall(self, counts: Int[np.ndarray, " N"]) -> float:
        """AR@100, the mean recall over IoU 0.5 to 0.95, percent; NaN when no object is left."""
        objects = int(counts @ self.objects)
        return 100 * int(counts @ self.found) / (len(IOUS) * objects) if objects else math.nan


def rank(images: Sequence[Prediction]) -> Ranking:
    """Match the 100 best boxes of each image and rank all by score; equal scores keep the order of images."""
    truths = [truth_of(image).boxes for image in images]
    orders = [np.argsort(-image.scores, kind="stable")[:DEEPEST] for image in images]
    boxes = [image.boxes[order] for image, order in zip(images, orders, strict=True)]
    scores = [image.scores[order] for image, order in zip(images, orders, strict=True)]
    hits = [match(iou, IOUS) for iou in overlaps(boxes, truths)]
    best_first = np.argsort(-np.concatenate([np.empty(0), *scores]), kind="stable")
    owner = np.repeat(np.arange(len(images)), [len(order) for order in orders])
    right = np.concatenate([np.empty(0, bool), *(hit[0] for hit in hits)])
    return Ranking(
        image=owner[best_first],
        right=np.flatnonzero(right[best_first]),
        found=np.array([hit.sum() for hit in hits], np.int64),
        objects=np.array([len(truth) for truth in truths], np.int64),
    )


def match(iou: Float[np.ndarray, "D M"], thresholds: Float[np.ndarray, " T"]) -> Bool[np.ndarray, "T D"]:
    """COCO's greedy matching of boxes, best first, at every threshold: which of them find an object.

    Each takes the free object that it overlaps most, the last of equals.
    """
    hit = np.zeros((len(thresholds), len(iou)), bool)
    candidates = np.flatnonzero((iou >= thresholds.min()).any(axis=1))
    free = np.ones((len(thresholds), iou.shape[1]), bool)
    backwards = iou[:, ::-1]  # argmax takes the first of equals
    for box in candidates:
        open_iou = np.where(free, backwards[box], -1.0)
        taken = open_iou.argmax(axis=1)
        hit[:, box] = open_iou.max(axis=1) >= thresholds
        free[hit[:, box], taken[hit[:, box]]] = False
    return hit
