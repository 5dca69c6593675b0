"""Concepts: what the clusters of a data set's images have in common, by the groups of their centroids."""

from typing import Literal

import numpy as np
from jaxtyping import Float, Float64, Int, UInt8
from scipy.spatial.distance import cdist

AUTO = 20  # concepts, where there are CROWD times as many centroids
CROWD = 5
CENTRE = 0.5  # part of either side of an image that its centre takes
FIGURES = ("area", "border", "central", "foreground")


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
        labels: the map.
        concepts: of its clusters.
        count: number of all concepts.
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
    """The number of a part's pixels of each concept."""
    by_cluster = np.bincount(part.ravel(), minlength=len(concepts))
    return np.bincount(concepts, by_cluster, minlength=count)
