"""Concepts: what the clusters of a data set's images have in common, by the groups of their centroids."""

from typing import Any, Literal, NamedTuple

import numpy as np
from jaxtyping import Float, Float64, Int, UInt8
from scipy.spatial.distance import cdist

AUTO = 20  # concepts, where there are CROWD times as many centroids
CROWD = 5
CENTRE = 0.5  # part of either side of an image that its centre takes
FIGURES = ("area", "border", "central", "foreground")
EXAMPLES = 6  # regions that show a concept best


def number_of_concepts(asked: int | Literal["auto"], centroids: int) -> int:
    """Returns how many concepts so many centroids form; 0 for none."""
    if asked == "auto":
        return AUTO if centroids >= CROWD * AUTO else 0
    return asked if centroids >= asked else 0


def nearest(
    centroids: Float[np.ndarray, "K D"], centres: Float[np.ndarray, "M D"]
) -> tuple[Int[np.ndarray, " K"], Float64[np.ndarray, " K"]]:
    """Returns the concept of every cluster, and how far its centroid is from the concept's centre."""
    distances = cdist(centroids, centres)
    concepts = distances.argmin(axis=1)
    return concepts, distances[np.arange(len(centroids)), concepts]


def figures(
    labels: UInt8[np.ndarray, "H W"], concepts: Int[np.ndarray, " K"], count: int, box: Float[np.ndarray, "4"]
) -> Float64[np.ndarray, "count 4"]:
    """Describes the concepts of one image by its map; between 0 and 1, NaN for those that it does not show.

    Args:
        box: the predicted box (xyxy, half-open, pixels of the map), which needs no ground truth.

    Returns:
        FIGURES, one row a concept: ``area``, its part of the image; ``border``, its part of the image's border;
        ``central`` and ``foreground``, the parts of its own pixels in the image's centre and inside the box.
    """
    height, width = labels.shape
    top, left = (round(side * (1 - CENTRE) / 2) for side in (height, width))
    (x1, y1), (x2, y2) = np.floor(box[:2]).astype(int).tolist(), np.ceil(box[2:]).astype(int).tolist()
    border = np.concatenate([labels[0], labels[-1], labels[1:-1, 0], labels[1:-1, -1]])
    parts = (labels, border, labels[top : height - top, left : width - left], labels[y1:y2, x1:x2])
    pixels = np.stack([_pixels(part, concepts, count) for part in parts], axis=1)
    own = np.where(pixels[:, 0] > 0, pixels[:, 0], np.nan)
    wholes = np.stack([own * labels.size / own, own * len(border) / own, own, own], axis=1)
    described: Float64[np.ndarray, "count 4"] = pixels / wholes
    return described


def _pixels(
    part: UInt8[np.ndarray, "..."], concepts: Int[np.ndarray, " K"], count: int
) -> Float64[np.ndarray, " count"]:
    """The number of a part's pixels of each concept; for a few clusters comparisons are faster than a histogram."""
    by_cluster = [np.count_nonzero(part == cluster) for cluster in range(len(concepts))]
    return np.bincount(concepts, by_cluster, minlength=count)


class Described(NamedTuple):
    """Some images: how many clusters each has, concepts and distances of these, and the figures of every concept.

    The clusters follow each other, image by image; a distance is infinite if the map does not show the cluster.
    """

    clusters: Int[np.ndarray, " B"]
    concepts: Int[np.ndarray, " n"]
    distances: Float64[np.ndarray, " n"]
    figures: Float64[np.ndarray, "B M 4"]


_EXAMPLE = np.dtype([("concept", "<i4"), ("distance", "<f8"), ("image", "<i8"), ("cluster", "<i4")])


class Tally:
    """What the images of a run say of its concepts, of which a few numbers in all are kept.

    Attributes:
        shown: images that show each concept.
        sums: of the figures over these.
    """

    def __init__(self, count: int) -> None:
        self.images, self.shown = 0, np.zeros(count, np.int64)
        self.sums = np.zeros((count, len(FIGURES)))
        self._examples: Any = np.empty(0, _EXAMPLE)

    def add(self, described: Described) -> None:
        """Adds the next images; sums are the same whatever the number of images at a time."""
        present = ~np.isnan(described.figures[:, :, 0])
        self.shown += present.sum(axis=0)
        shown = np.where(present[:, :, None], described.figures, 0)
        self.sums = np.concatenate([self.sums[None], shown]).sum(axis=0)  # along the first axis NumPy adds in order
        self._examples = _nearest_examples(np.concatenate([self._examples, _examples(described, self.images)]))
        self.images += len(described.clusters)

    def order(self) -> Int[np.ndarray, " M"]:
        """The concepts by the number of images that show them, then by area."""
        order: Int[np.ndarray, " M"] = np.lexsort((np.arange(len(self.shown)), -self.sums[:, 0], -self.shown))
        return order

    def means(self) -> Float64[np.ndarray, "M 4"]:
        """The mean FIGURES of every concept over the images that show it; 0 if none does."""
        means: Float64[np.ndarray, "M 4"] = self.sums / np.maximum(self.shown, 1)[:, None]
        return means

    def examples(self, concept: int) -> list[tuple[int, int, float]]:
        """The clusters next to the centre of a concept, at most one an image: image, cluster, distance."""
        own = self._examples[self._examples["concept"] == concept]
        return [(image, cluster, distance) for _, distance, image, cluster in own.tolist()]


def _examples(described: Described, first: int) -> Any:
    """All clusters that maps show, of images that are counted from ``first``."""
    found = np.empty(len(described.concepts), _EXAMPLE)
    found["concept"], found["distance"] = described.concepts, described.distances
    found["image"] = np.repeat(first + np.arange(len(described.clusters)), described.clusters)
    starts = np.cumsum(described.clusters) - described.clusters
    found["cluster"] = np.arange(len(found)) - np.repeat(starts, described.clusters)
    return found[np.isfinite(found["distance"])]


def _nearest_examples(found: Any) -> Any:
    """The nearest cluster of each image, of the nearest images for each concept; at a tie the first one."""
    found = found[np.lexsort((found["cluster"], found["image"], found["distance"], found["concept"]))]
    _, one_an_image = np.unique(found[["concept", "image"]], return_index=True)
    found = found[np.sort(one_an_image)]
    _, starts, numbers = np.unique(found["concept"], return_index=True, return_counts=True)
    return found[np.arange(len(found)) - np.repeat(starts, numbers) < EXAMPLES]
