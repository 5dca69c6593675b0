"""Objectness: a score without ground truth that selects the region of the object."""

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple, no_type_check

import numba
import numpy as np
from jaxtyping import Float64, Int32, Int64, UInt8

from nave.localization.components import Box
from nave.localization.regions import Regions, union

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

    def prior(self, size: tuple[int, int]) -> tuple[Float64[np.ndarray, " H"], Float64[np.ndarray, " W"]]:
        """Returns the Gaussian over an image of ``(height, width)`` as a factor a row and a column; each sums to 1."""
        rows, columns = (_gaussian(length, self.sigma) for length in size)
        return rows, columns


def border_shares(labels: UInt8[np.ndarray, "H W"], count: int) -> Float64[np.ndarray, " count"]:
    """Returns each cluster's fraction of the image's border: the mean over four sides, the lower one weighted 1/4."""
    borders = (labels[0], labels[:, 0], labels[:, -1], labels[-1])
    upper, left, right, lower = (np.bincount(side, minlength=count) / len(side) for side in borders)
    mean: Float64[np.ndarray, " count"] = (upper + left + right + LOWER_SIDE * lower) / (3 + LOWER_SIDE)
    return mean


def one_box(
    labels: UInt8[np.ndarray, "H W"], border: Float64[np.ndarray, " K"], objectness: Objectness, min_area: int
) -> Box | None:
    """Returns the box of the best region of more than ``min_area`` pixels, or None if there is none.

    Candidates are the regions of every cluster and of the union of every two adjacent clusters, because k-means may
    split an object in two.

    Args:
        labels: the map.
        border: the clusters' shares of the border, as :func:`border_shares` returns them.
        objectness: the score.
        min_area: the region has more pixels than this.
    """
    regions = Regions.of(labels)
    centred = regions.sums(*objectness.prior(labels.shape))
    unions = united(regions, centred, len(border))
    area = np.concatenate([regions.area, unions.area])
    large = area > min_area
    if not large.any():
        return None
    shares = np.concatenate([border[regions.cluster], border[unions.clusters].sum(axis=1)])
    scores = objectness(np.concatenate([centred, unions.total]), shares, area / labels.size)
    x1, y1, x2, y2 = np.concatenate([regions.boxes, unions.boxes])[np.where(large, scores, -np.inf).argmax()].tolist()
    return x1, y1, x2, y2


class Unions(NamedTuple):
    """The regions of the unions of every two adjacent clusters: by the pair, then in raster order."""

    clusters: Int64[np.ndarray, "U 2"]
    area: Int64[np.ndarray, " U"]
    total: Float64[np.ndarray, " U"]
    boxes: Int64[np.ndarray, "U 4"]


def united(regions: Regions, totals: Float64[np.ndarray, " R"], count: int) -> Unions:
    """Merges the regions of every two of ``count`` clusters that are adjacent somewhere, and adds their ``totals``."""
    clusters, begins, neighbours = regions.adjacent(count)
    return Unions(*_united(regions.cluster, regions.area, totals, regions.boxes, neighbours, clusters, begins))


@numba.njit(cache=True, nogil=True, boundscheck=False)
@no_type_check
def _united(
    cluster: Int64[np.ndarray, " R"], area: Int64[np.ndarray, " R"], total: Float64[np.ndarray, " R"],
    boxes: Int64[np.ndarray, "R 4"], neighbours: Int32[np.ndarray, "E 2"], clusters: Int64[np.ndarray, "P 2"],
    begins: Int64[np.ndarray, " P+1"],
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:  # fmt: skip
    """Unites the regions of each pair of clusters; its neighbours are those from ``begins[p]`` to ``begins[p + 1]``."""
    room = len(cluster) * min(len(clusters), int(cluster.max()))  # a region is in as many unions as other clusters
    pairs, boxes_of = np.empty((room, 2), np.int64), np.empty((room, 4), np.int64)
    areas, totals = np.zeros(room, np.int64), np.zeros(room, np.float64)
    count = 0
    for pair in range(len(clusters)):
        parent = np.arange(len(cluster)).astype(np.int32)
        for edge in range(begins[pair], begins[pair + 1]):
            union(parent, neighbours[edge, 0], neighbours[edge, 1])
        number = np.empty(len(cluster), np.int64)
        for region in range(len(cluster)):
            if cluster[region] != clusters[pair, 0] and cluster[region] != clusters[pair, 1]:
                continue
            if parent[region] == region:
                number[region] = count
                pairs[count], boxes_of[count] = clusters[pair], boxes[region]
                count += 1
            number[region] = group = number[parent[region]]
            areas[group] += area[region]
            totals[group] += total[region]
            for side in range(2):
                boxes_of[group, side] = min(boxes_of[group, side], boxes[region, side])
                boxes_of[group, side + 2] = max(boxes_of[group, side + 2], boxes[region, side + 2])
    return pairs[:count], areas[:count], totals[:count], boxes_of[:count]


@lru_cache(maxsize=64)
def _gaussian(length: int, sigma: float) -> Float64[np.ndarray, " n"]:
    weights: Float64[np.ndarray, " n"] = np.exp(-0.5 * (((np.arange(length) + 0.5) / length - 0.5) / sigma) ** 2)
    weights /= weights.sum()
    return weights
