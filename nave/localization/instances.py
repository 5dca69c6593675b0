"""Instances on the foreground map: its parts, split where two peaks are joined by a valley, and their rivals."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple, no_type_check

import numba
import numpy as np
from jaxtyping import Float64, Int32, Int64, UInt8

from nave.localization.basins import Flood
from nave.localization.components import Box
from nave.localization.foreground import Foreground
from nave.localization.objectness import united
from nave.localization.regions import Regions

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
    adjacent ones. All are scored by the sum of ``tanh(logit)`` divided by the root of their area, as in a scan
    statistic; those of rivals are 1 lower, so that no rival comes before an instance. Of boxes that nearly coincide the
    first stays.

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
    flood = Flood.of(grid.logits, 0.0)
    instances, rivals = measure(flood.basins(PROMINENCE), confidence), _rivals(grid, labels, flood, confidence)
    candidates = Candidates(*(np.concatenate(parts) for parts in zip(instances, *rivals, strict=True)))
    behind = np.arange(len(candidates.area)) >= len(instances.area)
    large = candidates.area > smallest
    boxes, scores = grid.boxes(candidates.extents[large]), (candidates.scores(confidence.size) - behind)[large]
    kept = distinct(boxes, scores)
    return tuple(((*map(int, boxes[i]),), float(scores[i])) for i in kept)  # type: ignore[misc] # four of them


class Candidates(NamedTuple):
    """Regions of the fine grid: their extents (xyxy, half-open), points, and the sums of their confidence."""

    extents: Int64[np.ndarray, "n 4"]
    area: Int64[np.ndarray, " n"]
    total: Float64[np.ndarray, " n"]

    def scores(self, points: int) -> Float64[np.ndarray, " n"]:
        """Returns the scan statistic of each, of all ``points`` of the grid."""
        scores: Float64[np.ndarray, " n"] = self.total / np.sqrt(self.area * points)
        return scores


def _rivals(
    grid: Grid, labels: UInt8[np.ndarray, "H W"], flood: Flood, confidence: Float64[np.ndarray, "y x"]
) -> Iterator[Candidates]:
    for prominence in RIVAL_PROMINENCES:
        yield measure(flood.basins(prominence), confidence)
    before = np.append(0.0, np.cumsum(confidence))
    for level in RIVAL_LEVELS:
        above = Regions.of((grid.logits > level).view(np.uint8))
        inside = above.cluster == 1
        yield Candidates(above.boxes[inside], above.area[inside], totals(above, before)[inside])
    clusters = Regions.of(grid.at_points(labels))
    total = totals(clusters, before)
    yield Candidates(clusters.boxes, clusters.area, total)
    pairs = united(clusters, total, int(labels.max()) + 1)
    yield Candidates(pairs.boxes, pairs.area, pairs.total)


def measure(ids: Int32[np.ndarray, "y x"], confidence: Float64[np.ndarray, "y x"]) -> Candidates:
    """Returns the regions of every point's ``ids``; negative ones belong to none."""
    return Candidates(*_sums(ids, confidence, int(ids.max(initial=-1)) + 1))


def totals(regions: Regions, before: Float64[np.ndarray, " sums"]) -> Float64[np.ndarray, " R"]:
    """Returns the sum over each region of what is summed up ``before`` every point, in raster order."""
    sums: Float64[np.ndarray, " R"] = np.bincount(regions.of_span, np.diff(before[regions.spans.starts]))
    return sums


@numba.njit(cache=True, nogil=True, boundscheck=False)
@no_type_check
def _sums(
    ids: Int32[np.ndarray, "y x"], confidence: Float64[np.ndarray, "y x"], count: int
) -> tuple[Int64[np.ndarray, "n 4"], Int64[np.ndarray, " n"], Float64[np.ndarray, " n"]]:
    extents, area, total = np.zeros((count, 4), np.int64), np.zeros(count, np.int64), np.zeros(count)
    for y in range(ids.shape[0]):
        for x in range(ids.shape[1]):
            region = ids[y, x]
            if region < 0:
                continue
            if area[region] == 0:
                extents[region] = x, y, x + 1, y + 1
            area[region] += 1
            total[region] += confidence[y, x]
            extents[region, 0] = min(extents[region, 0], x)
            extents[region, 2] = max(extents[region, 2], x + 1)
            extents[region, 3] = y + 1
    return extents, area, total


@numba.njit(cache=True, nogil=True, boundscheck=False)
@no_type_check
def distinct(boxes: Int64[np.ndarray, "n 4"], scores: Float64[np.ndarray, " n"]) -> list[int]:
    """Returns the indices of at most ``MOST`` boxes, best first, none of which overlaps a better one by ``SAME``."""
    kept = [0 for _ in range(0)]
    for candidate in np.argsort(-scores, kind="mergesort"):
        if len(kept) == MOST:
            break
        new = True
        for other in kept:
            new = new and _overlap(boxes[candidate], boxes[other]) < SAME
        if new:
            kept.append(candidate)
    return kept


@numba.njit(cache=True, nogil=True, boundscheck=False)
@no_type_check
def _overlap(one: Int64[np.ndarray, "4"], other: Int64[np.ndarray, "4"]) -> float:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    shared = max(width, 0) * max(height, 0)
    area = (one[2] - one[0]) * (one[3] - one[1]) + (other[2] - other[0]) * (other[3] - other[1])
    return shared / max(area - shared, 1)
