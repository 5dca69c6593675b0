"""Instances on the foreground map: its parts, split where two peaks are joined by a valley, and their rivals."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import no_type_check

import numba
import numpy as np
from jaxtyping import Float64, Int32, Int64, UInt8
from scipy import ndimage

from nave.localization.components import Box
from nave.localization.foreground import Foreground

PIXELS = 4.0  # about so many pixels lie between the points of the fine grid
PROMINENCE = 1.0  # logits that a peak rises above the valley to a higher one, or it is no object of its own
RIVAL_PROMINENCES, RIVAL_LEVELS = (0.5, 2.0), (0.0, 0.5, 1.0, 1.5, 2.0)  # in logits
SAME = 0.7  # overlap from which on two boxes are one detection
MOST = 100  # detections an image, as many as AR@100 counts

Detection = tuple[Box, float]


@dataclass(frozen=True)
class Grid:
    """The fine grid over an image.

    Args:
        size: (height, width) of the image in pixels.
        cell: (height, width) of a point's cell in pixels.
        logits: of the foreground at every point.
    """

    size: tuple[int, int]
    cell: tuple[float, float]
    logits: Float64[np.ndarray, "y x"]

    @classmethod
    def of(cls, foreground: Foreground, size: tuple[int, int]) -> "Grid":
        """Interpolates the tokens' logits bilinearly; points whose cells begin outside the image are left out."""
        fine = foreground.logits
        cell = []
        for axis, (pixels, side) in enumerate(zip(foreground.patch, size, strict=True)):
            factor = max(round(pixels / PIXELS), 1)
            fine = _interpolated(fine, axis, factor, int(np.ceil(side * factor / pixels)))
            cell.append(pixels / factor)
        return cls(size, (cell[0], cell[1]), fine)

    def at_points(self, labels: UInt8[np.ndarray, "H W"]) -> UInt8[np.ndarray, "y x"]:
        """Returns the map's label at every point."""
        rows, columns = (
            np.minimum(((np.arange(points) + 0.5) * pixels).astype(np.int64), side - 1)
            for points, pixels, side in zip(self.logits.shape, self.cell, self.size, strict=True)
        )
        fine: UInt8[np.ndarray, "y x"] = labels[rows][:, columns]
        return fine

    def boxes(self, extents: Int64[np.ndarray, "n 4"]) -> Int64[np.ndarray, "n 4"]:
        """Converts half-open extents on the grid, xyxy, to pixels."""
        height, width = self.size
        pixels = np.rint(extents * np.array([self.cell[1], self.cell[0]] * 2)).astype(np.int64)
        inside: Int64[np.ndarray, "n 4"] = np.minimum(pixels, [width, height, width, height])
        return inside


def _interpolated(
    values: Float64[np.ndarray, "a b"], axis: int, factor: int, points: int
) -> Float64[np.ndarray, "c d"]:
    last = values.shape[axis] - 1
    position = np.clip((np.arange(min(points, (last + 1) * factor)) + 0.5) / factor - 0.5, 0, last)
    lower = np.minimum(position.astype(np.int64), max(last - 1, 0))
    upper = np.minimum(lower + 1, last)
    share = np.expand_dims(position - lower, 1 - axis)
    mixed: Float64[np.ndarray, "c d"] = values.take(lower, axis) * (1 - share) + values.take(upper, axis) * share
    return mixed


def detect(labels: UInt8[np.ndarray, "H W"], foreground: Foreground, min_area: int) -> tuple[Detection, ...]:
    """Finds the instances, best first, and behind them their rivals, which begin where an instance may be wrong.

    An instance is the basin of a prominent peak of the map, down to logit 0. Rivals are what other settings would give
    (smaller and larger prominences, unsplit parts at several levels) and the regions of every cluster and of every two
    clusters. All are scored by the sum of ``tanh(logit)`` divided by the root of their area, as in a scan statistic;
    those of rivals are 1 lower, so that no rival comes before an instance. Of boxes that nearly coincide the first
    stays.

    Args:
        labels: the clusters.
        foreground: the head's judgement of the same image.
        min_area: every region has more pixels than this.

    Returns:
        Boxes in pixels with their scores, at most ``MOST``; the instances are those with a score above 0.
    """
    grid = Grid.of(foreground, (labels.shape[0], labels.shape[1]))
    confidence = np.tanh(grid.logits)
    smallest = min_area / (grid.cell[0] * grid.cell[1])
    instances = [measure(basins(grid.logits, 0.0, PROMINENCE), confidence, smallest)]
    rivals = [measure(ids, confidence, smallest) for ids in _rivals(grid, labels)]
    boxes = grid.boxes(np.concatenate([extents for extents, _ in (*instances, *rivals)]))
    scores = np.concatenate([instances[0][1], *(scores - 1.0 for _, scores in rivals)])
    kept = distinct(boxes, scores)
    return tuple(((*map(int, boxes[i]),), float(scores[i])) for i in kept)  # type: ignore[misc] # four of them


def _rivals(grid: Grid, labels: UInt8[np.ndarray, "H W"]) -> Iterator[Int32[np.ndarray, "y x"]]:
    yield from (basins(grid.logits, 0.0, prominence) for prominence in RIVAL_PROMINENCES)
    yield from (ndimage.label(grid.logits > level)[0] - 1 for level in RIVAL_LEVELS)
    fine = grid.at_points(labels)
    clusters = [fine == cluster for cluster in np.unique(fine)]
    yield from (ndimage.label(mask)[0] - 1 for mask in clusters)
    yield from (ndimage.label(one | other)[0] - 1 for one, other in combinations(clusters, 2))


def measure(
    ids: Int32[np.ndarray, "y x"], confidence: Float64[np.ndarray, "y x"], smallest: float
) -> tuple[Int64[np.ndarray, "n 4"], Float64[np.ndarray, " n"]]:
    """Returns the extents (xyxy, half-open) and the scores of the regions of more than ``smallest`` points.

    Args:
        ids: the region of every point, negative where there is none.
        confidence: from -1 to 1, that a point is foreground.
        smallest: number of points.
    """
    area = np.bincount(ids.ravel() + 1)[1:]
    total = np.bincount(ids.ravel() + 1, confidence.ravel())[1:]
    large = np.flatnonzero(area > smallest)
    slices = ndimage.find_objects(ids + 1)
    extents = [(s[1].start, s[0].start, s[1].stop, s[0].stop) for s in (slices[i] for i in large)]
    return np.array(extents, np.int64).reshape(-1, 4), total[large] / np.sqrt(area[large] * ids.size)


def distinct(boxes: Int64[np.ndarray, "n 4"], scores: Float64[np.ndarray, " n"]) -> list[int]:
    """Returns the indices of at most ``MOST`` boxes, best first, none of which overlaps a better one by ``SAME``."""
    order = np.argsort(-scores, kind="stable")
    kept: list[int] = []
    while len(order) and len(kept) < MOST:
        best = int(order[0])
        kept.append(best)
        order = order[1:][_overlap(boxes[best], boxes[order[1:]]) < SAME]
    return kept


def _overlap(box: Int64[np.ndarray, "4"], others: Int64[np.ndarray, "n 4"]) -> Float64[np.ndarray, " n"]:
    sides = np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2])
    shared = np.maximum(sides, 0).prod(axis=1)
    areas = (others[:, 2:] - others[:, :2]).prod(axis=1) + (box[2:] - box[:2]).prod()
    overlap: Float64[np.ndarray, " n"] = shared / np.maximum(areas - shared, 1)
    return overlap


@numba.njit(cache=True, nogil=True, boundscheck=False)
@no_type_check
def basins(heights: Float64[np.ndarray, "y x"], base: float, prominence: float) -> Int32[np.ndarray, "y x"]:
    """Splits what lies above ``base`` into the basins of prominent peaks (ToMATo, Chazal et al. 2013).

    Points are flooded from the highest down. One that touches no flooded point is a new peak, another joins its highest
    neighbour; where two basins meet, the one with the lower peak is merged into the other unless it rises by
    ``prominence`` above the meeting point.

    Returns:
        The basin of every point in order of their peaks' heights, -1 where there is none.
    """
    rows, columns = heights.shape
    height = heights.ravel()
    points = np.flatnonzero(height > base)
    order = points[np.argsort(-height[points], kind="mergesort")]
    rank = np.full(height.size, height.size)  # beyond all others: not flooded
    root = np.full(height.size, -1)
    steps = np.array([-columns, -1, 1, columns])
    for number in range(len(order)):
        point = order[number]
        column = point % columns
        inside = point >= columns, column > 0, column < columns - 1, point < height.size - columns
        highest = point
        for side in range(4):
            if inside[side] and rank[point + steps[side]] < rank[highest]:
                highest = point + steps[side]
        root[point] = _find(root, highest) if highest != point else point
        rank[point] = number
        for side in range(4):
            if inside[side] and rank[point + steps[side]] < number:
                one, other = _find(root, point), _find(root, point + steps[side])
                lower, higher = (one, other) if rank[one] > rank[other] else (other, one)
                if height[lower] - height[point] < prominence:
                    root[lower] = higher
    ids = np.full(height.size, -1, np.int32)
    count = 0
    for point in order:
        peak = _find(root, point)
        if peak == point:
            ids[point] = count
            count += 1
        ids[point] = ids[peak]
    return ids.reshape(rows, columns)


@numba.njit(cache=True, nogil=True, boundscheck=False)
@no_type_check
def _find(root: Int64[np.ndarray, " n"], point: int) -> int:
    while root[point] != point:
        root[point] = root[root[point]]
        point = root[point]
    return point
