"""Which region of a map is the object: a score that needs no ground truth."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Float64, Int32, Int64, UInt8

from nave.localization.components import Box
from nave.localization.regions import measured, merged, region_ids

LOWER_SIDE = 0.25


@dataclass(frozen=True)
class Objectness:
    """How much a region looks like a photograph's subject: ``(centred - rim_penalty * rim) / sqrt(area)``.

    Photographers centre their subject; background runs along the rim. ``centred`` is the share of a centred
    Gaussian that the region holds, ``rim`` the share of the rim that its *clusters* hold anywhere, ``area`` its
    share of the image. As in a scan statistic, evidence summed over a region is weighed against the square root
    of its size.

    Args:
        sigma: deviation of the Gaussian, in shares of the image's sides.
        rim_penalty: weight of the rim.
    """

    sigma: float = 0.25
    rim_penalty: float = 2.0

    def __call__(
        self,
        centred: Float64[np.ndarray, " n"],
        rim: Float64[np.ndarray, " n"],
        area: Float64[np.ndarray, " n"],
    ) -> Float64[np.ndarray, " n"]:
        """Scores of ``n`` regions from their shares."""
        scores: Float64[np.ndarray, " n"] = (centred - self.rim_penalty * rim) / np.sqrt(area)
        return scores

    def prior(self, size: tuple[int, ...]) -> Float64[np.ndarray, "H W"]:
        """The Gaussian over an image of ``(height, width)``; it sums to 1. Not to be written to."""
        return _gaussian(size, self.sigma)


@dataclass(frozen=True)
class Regions:
    """The 4-connected regions of a map, and what of them adds up when regions are joined."""

    cluster: Int64[np.ndarray, " R"]
    area: Int64[np.ndarray, " R"]
    centred: Float64[np.ndarray, " R"]
    boxes: Int64[np.ndarray, "R 4"]
    neighbours: Int64[np.ndarray, "E 2"]

    @classmethod
    def of(cls, labels: UInt8[np.ndarray, "H W"], prior: Float64[np.ndarray, "H W"]) -> "Regions":
        """All regions of the map, however small."""
        ids, count = region_ids(labels.astype(np.int32))
        first, area, centred, boxes = measured(ids, prior, count)
        return cls(labels.ravel()[first].astype(np.int64), area, centred, boxes, _neighbours(ids, count))

    def joined(self, clusters: tuple[int, int]) -> "Regions":
        """The regions of two clusters taken as one; ``cluster`` keeps one of them."""
        area, centred, boxes = merged(self.cluster, clusters, self.area, self.centred, self.boxes, self.neighbours)
        cluster = np.full(len(area), clusters[0])
        return Regions(cluster, area, centred, boxes, np.empty((0, 2), np.int64))

    def adjacent_pairs(self) -> Iterator[tuple[int, int]]:
        """Pairs of clusters that touch somewhere."""
        pairs = np.unique(np.sort(self.cluster[self.neighbours], axis=1), axis=0)
        yield from ((int(a), int(b)) for a, b in pairs)


def rim_shares(labels: UInt8[np.ndarray, "H W"], count: int) -> Float64[np.ndarray, " count"]:
    """The share that every cluster has of the rim: the mean over its four sides.

    The lower side counts a quarter, for that is where subjects are cut off.
    """
    rims = (labels[0], labels[:, 0], labels[:, -1], labels[-1])
    shares = [np.bincount(rim, minlength=count) / len(rim) for rim in rims]
    mean: Float64[np.ndarray, " count"] = np.average(shares, axis=0, weights=(1, 1, 1, LOWER_SIDE))
    return mean


def one_box(labels: UInt8[np.ndarray, "H W"], objectness: Objectness, min_area: int) -> Box | None:
    """The box of the best region of more than ``min_area`` pixels; None if no region is so large.

    Regions are those of every cluster, and of every two clusters that touch: K-means may part an object in two.
    """
    regions = Regions.of(labels, objectness.prior(labels.shape))
    rim = rim_shares(labels, int(labels.max()) + 1)
    best: tuple[float, Box] | None = None
    for clusters in (None, *regions.adjacent_pairs()):
        candidates = regions if clusters is None else regions.joined(clusters)
        large = candidates.area > min_area
        if not large.any():
            continue
        share = rim[candidates.cluster] if clusters is None else np.full(len(large), rim[list(clusters)].sum())
        scores = objectness(candidates.centred, share, candidates.area / labels.size)
        top = int(np.where(large, scores, -np.inf).argmax())
        if best is None or scores[top] > best[0]:
            x1, y1, x2, y2 = candidates.boxes[top].tolist()
            best = float(scores[top]), (x1, y1, x2, y2)
    return None if best is None else best[1]


def _neighbours(ids: Int32[np.ndarray, "H W"], count: int) -> Int64[np.ndarray, "E 2"]:
    """Pairs of regions that share an edge."""
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
