"""Objectness: a score without ground truth that selects the region of the object."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Float64, Int32, Int64, UInt8

from nave.localization.components import Box, label_regions, measure_regions, merge_clusters

LOWER_SIDE = 0.25  # weight of the lower side of the border, where objects are often cut off


@dataclass(frozen=True)
class Objectness:
    """Scores regions by ``(centred - border_penalty * border) / sqrt(area)``.

    Photographers centre the object, and the background extends along the border. ``centred`` is the part of a centred
    Gaussian inside the region, ``border`` the part of the image's border that belongs to the region's *clusters*,
    ``area`` the region's part of the image. As in a scan statistic, a sum over a region is divided by the square root
    of its size.

    Args:
        sigma: standard deviation of the Gaussian, as a fraction of the image's sides.
        border_penalty: weight of the border.
    """

    sigma: float
    border_penalty: float

    def __call__(
        self,
        centred: Float64[np.ndarray, " n"],
        border: Float64[np.ndarray, " n"],
        area: Float64[np.ndarray, " n"],
    ) -> Float64[np.ndarray, " n"]:
        """Computes the scores of ``n`` regions from their three fractions."""
        scores: Float64[np.ndarray, " n"] = (centred - self.border_penalty * border) / np.sqrt(area)
        return scores

    def prior(self, size: tuple[int, ...]) -> Float64[np.ndarray, "H W"]:
        """Returns the Gaussian over an image of ``(height, width)``, which sums to 1; do not modify it."""
        return _gaussian(size, self.sigma)


@dataclass(frozen=True)
class Regions:
    """The 4-connected regions of a map, with the quantities that are needed to merge them."""

    cluster: Int64[np.ndarray, " R"]
    area: Int64[np.ndarray, " R"]
    centred: Float64[np.ndarray, " R"]
    boxes: Int64[np.ndarray, "R 4"]
    neighbours: Int64[np.ndarray, "E 2"]

    @classmethod
    def from_map(cls, labels: UInt8[np.ndarray, "H W"], prior: Float64[np.ndarray, "H W"]) -> "Regions":
        """Returns the regions of every size."""
        ids, count = label_regions(labels.astype(np.int32))
        first, area, centred, boxes = measure_regions(ids, prior, count)
        return cls(labels.ravel()[first].astype(np.int64), area, centred, boxes, _neighbours(ids, count))

    def merge(self, clusters: tuple[int, int]) -> "Regions":
        """Returns the regions of the union of two clusters, under the id of the first."""
        area, centred, boxes = merge_clusters(
            self.cluster, clusters, self.area, self.centred, self.boxes, self.neighbours
        )
        cluster = np.full(len(area), clusters[0])
        return Regions(cluster, area, centred, boxes, np.empty((0, 2), np.int64))

    def adjacent_pairs(self) -> Iterator[tuple[int, int]]:
        """Yields the pairs of clusters with adjacent regions."""
        pairs = np.unique(np.sort(self.cluster[self.neighbours], axis=1), axis=0)
        yield from ((int(a), int(b)) for a, b in pairs)


def border_shares(labels: UInt8[np.ndarray, "H W"], count: int) -> Float64[np.ndarray, " count"]:
    """Returns each cluster's fraction of the image's border: the mean over four sides, the lower one weighted 1/4."""
    borders = (labels[0], labels[:, 0], labels[:, -1], labels[-1])
    shares = [np.bincount(side, minlength=count) / len(side) for side in borders]
    mean: Float64[np.ndarray, " count"] = np.average(shares, axis=0, weights=(1, 1, 1, LOWER_SIDE))
    return mean


def one_box(labels: UInt8[np.ndarray, "H W"], objectness: Objectness, min_area: int) -> Box | None:
    """Returns the box of the best region of more than ``min_area`` pixels, or None if there is none.

    Candidates are the regions of every cluster and of the union of every two adjacent clusters, because k-means may
    split an object in two.
    """
    regions = Regions.from_map(labels, objectness.prior(labels.shape))
    border = border_shares(labels, int(labels.max()) + 1)
    best: tuple[float, Box] | None = None
    for clusters in (None, *regions.adjacent_pairs()):
        candidates = regions if clusters is None else regions.merge(clusters)
        large = candidates.area > min_area
        if not large.any():
            continue
        share = border[candidates.cluster] if clusters is None else np.full(len(large), border[list(clusters)].sum())
        scores = objectness(candidates.centred, share, candidates.area / labels.size)
        top = int(np.where(large, scores, -np.inf).argmax())
        if best is None or scores[top] > best[0]:
            x1, y1, x2, y2 = candidates.boxes[top].tolist()
            best = float(scores[top]), (x1, y1, x2, y2)
    return None if best is None else best[1]


def _neighbours(ids: Int32[np.ndarray, "H W"], count: int) -> Int64[np.ndarray, "E 2"]:
    """Pairs of adjacent regions."""
    sides = ((ids[:, :-1], ids[:, 1:]), (ids[:-1], ids[1:]))
    edges = [(a[differ].astype(np.int64), b[differ]) for a, b in sides for differ in (a != b,)]
    codes = [np.unique(a * count + b) for a, b in edges]
    first, second = np.divmod(np.unique(np.concatenate(codes)), count)
    return np.stack([first, second], axis=1)


@lru_cache(maxsize=8)
def _gaussian(size: tuple[int, ...], sigma: float) -> Float64[np.ndarray, "H W"]:
    y, x = (np.exp(-0.5 * (((np.arange(n) + 0.5) / n - 0.5) / sigma) ** 2) for n in size)
    weights: Float64[np.ndarray, "H W"] = y[:, None] * x / (y.sum() * x.sum())
    return weights
