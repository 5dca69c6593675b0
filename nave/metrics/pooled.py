"""Class mIoU of a whole run from what it left on disk: centroids, and pixels counted by cluster and class."""

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from scipy.sparse import csr_matrix

from nave.metrics.bootstrap import Score, each, score
from nave.metrics.class_iou import matched
from nave.metrics.concepts import TooFewCentroids, group_centroids


class Described(NamedTuple):
    """One image: its clusters' centroids, and the valid pixels that each cluster shares with each class."""

    centroids: Float[np.ndarray, "K D"]
    classes: tuple[int, ...]
    pixels: Int[np.ndarray, "K classes"]  # may have fewer rows: the clusters after them have no valid pixel


def class_miou(images: Callable[[], Iterator[Described]], *, groups: int = 21, seed: int = 0) -> Score:
    """Mean IoU over classes once the centroids of all images are grouped and groups are matched to classes.

    `images()` goes through the set, which is done twice, one image at a time; what stays in memory are the
    sampled centroids and a few counts an image. The interval resamples images and matches anew; the groups
    stay. None when there are fewer centroids than groups.
    """
    if groups < 1:
        raise ValueError(f"evaluation.groups={groups}: must be at least 1")
    try:
        grouping = group_centroids((image.centroids for image in images()), groups=groups, seed=seed)
    except TooFewCentroids:
        return score(each(lambda _: math.nan), 0)
    counted = _counts(images(), grouping.predict, groups)
    statistic = each(lambda counts: _percent((counts @ counted).reshape(groups, -1)))
    return score(statistic, counted.shape[0], seed=seed)


def _counts(
    images: Iterator[Described],
    group: Callable[[Float[np.ndarray, "K D"]], Int[np.ndarray, " K"]],
    groups: int,
) -> csr_matrix:
    """Pixels of every image (rows) by group and class (columns, classes running faster)."""
    rows: list[Int[np.ndarray, " n"]] = []
    found: list[tuple[Int[np.ndarray, " n"], Int[np.ndarray, " n"], Int[np.ndarray, " n"]]] = []
    for number, image in enumerate(images):
        clusters, places = np.nonzero(image.pixels)
        found.append(
            (
                group(image.centroids)[clusters],
                np.array(image.classes, np.int64)[places],
                image.pixels[clusters, places],
            )
        )
        rows.append(np.full(len(clusters), number))
    group_ids, class_ids, pixels = (np.concatenate(parts) for parts in zip(*found, strict=True))
    classes = int(class_ids.max(initial=0)) + 1
    shape = (len(found), groups * classes)
    return csr_matrix((pixels, (np.concatenate(rows), group_ids * classes + class_ids)), shape)


def _percent(table: Int[np.ndarray, "groups classes"]) -> float:
    miou = matched(table).miou
    return math.nan if miou is None else 100 * miou
