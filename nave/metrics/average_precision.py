"""Class-agnostic COCO average precision and recall of resampled images.

A resample is a weight per image, so boxes are matched once and each resample costs two cumulative sums.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from nave.metrics.prediction import Prediction, overlaps, truth_of

IOUS = np.linspace(0.5, 0.95, 10)
RECALLS = np.linspace(0, 1, 101)
MAX_BOXES = 100  # boxes per image, best first


@dataclass(frozen=True, eq=False)
class Ranking:
    """All boxes of a set of images ranked together, with those that match an object at IoU 0.5.

    Args:
        image: index of each box's image, best box first.
        true_positives: ranks of the boxes that match an object.
        recalled: matched objects of each image, summed over the ten IoUs 0.5, 0.55 ... 0.95.
    """

    image: Int[np.ndarray, " n"]
    true_positives: Int[np.ndarray, " r"]
    recalled: Int[np.ndarray, " N"]
    objects: Int[np.ndarray, " N"]

    def average_precision(self, counts: Int[np.ndarray, " N"]) -> float:
        """Returns AP at IoU 0.5 in percent, interpolated at 101 recalls; NaN without objects.

        ``counts`` are those of a resample.
        """
        objects = int(counts @ self.objects)
        if objects == 0:
            return math.nan
        if not len(self.true_positives):
            return 0.0
        counts = counts.astype(np.min_scalar_type(counts.max()))  # which the processor's cache holds
        hits = np.cumsum(counts[self.image[self.true_positives]], dtype=np.int64)
        taken = np.take(counts, self.image[: self.true_positives[-1] + 1])
        starts = np.concatenate([[0], self.true_positives[:-1] + 1])
        ranked = np.cumsum(np.add.reduceat(taken, starts, dtype=np.int64))
        precision = np.maximum.accumulate((hits / np.maximum(ranked, 1))[::-1])[::-1]
        reached = np.searchsorted(hits / objects, RECALLS)
        return 100 * float(precision[reached[reached < len(hits)]].sum()) / len(RECALLS)

    def average_recall(self, counts: Int[np.ndarray, " N"]) -> float:
        """Returns AR@100, the mean recall over IoU 0.5 to 0.95 in percent; NaN without objects."""
        objects = int(counts @ self.objects)
        return 100 * int(counts @ self.recalled) / (len(IOUS) * objects) if objects else math.nan


class Matches(NamedTuple):
    """What remains of some images: a score and a hit for each of their 100 best boxes, three numbers an image."""

    scores: Float[np.ndarray, " n"]  # image by image, best box first
    hits: Bool[np.ndarray, " n"]  # whether the box matches an object at IoU 0.5
    boxes: Int[np.ndarray, " N"]  # their number in each image
    recalled: Int[np.ndarray, " N"]  # see Ranking
    objects: Int[np.ndarray, " N"]


def matches(images: Sequence[Prediction]) -> Matches:
    """Matches the 100 best boxes of each image."""
    truths = [truth_of(image).boxes for image in images]
    ranked = [image.ranked for image in images]
    orders = [np.argsort(-scores, kind="stable")[:MAX_BOXES] for _, scores in ranked]
    boxes = [boxes[order] for (boxes, _), order in zip(ranked, orders, strict=True)]
    scores = [scores[order] for (_, scores), order in zip(ranked, orders, strict=True)]
    hits = [match(iou, IOUS) for iou in overlaps(boxes, truths)]
    return Matches(
        scores=np.concatenate([np.empty(0), *scores]),
        hits=np.concatenate([np.empty(0, bool), *(hit[0] for hit in hits)]),
        boxes=np.array([len(order) for order in orders], np.int64),
        recalled=np.array([hit.sum() for hit in hits], np.int64),
        objects=np.array([len(truth) for truth in truths], np.int64),
    )


def ranking(parts: Sequence[Matches], order: Int[np.ndarray, " N"]) -> Ranking:
    """Ranks the boxes of all parts together by score.

    Args:
        order: positions of the images, counted through all parts, in the order that equal scores keep.
    """
    scores, hits, boxes, recalled, objects = (
        np.concatenate(arrays) for arrays in zip(matches([]), *parts, strict=True)
    )
    owner = np.repeat(np.argsort(order).astype(np.int32), boxes)
    # of one image's boxes, those of equal score stay in order
    best_first = np.lexsort((owner, np.negative(scores, out=scores)))
    return Ranking(
        image=owner[best_first].astype(np.int64),
        true_positives=np.flatnonzero(hits[best_first]),
        recalled=recalled[order],
        objects=objects[order],
    )


def match(iou: Float[np.ndarray, "D M"], thresholds: Float[np.ndarray, " T"]) -> Bool[np.ndarray, "T D"]:
    """Matches boxes to objects greedily at every threshold, as COCO does.

    In order, each box takes the free object of largest IoU, the last one at a tie.

    Args:
        iou: of boxes (best first) and objects.
        thresholds: IoU from which on a box may take an object.

    Returns:
        Whether each box has an object.
    """
    hit = np.zeros((len(thresholds), len(iou)), bool)
    candidates = np.flatnonzero((iou >= thresholds.min()).any(axis=1))
    free = np.ones((len(thresholds), iou.shape[1]), bool)
    backwards = iou[:, ::-1]  # argmax returns the first of equal values
    for box in candidates:
        open_iou = np.where(free, backwards[box], -1.0)
        taken = open_iou.argmax(axis=1)
        hit[:, box] = open_iou.max(axis=1) >= thresholds
        free[hit[:, box], taken[hit[:, box]]] = False
    return hit
