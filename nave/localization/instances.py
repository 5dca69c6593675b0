"""Instances on the foreground map: its parts, split where two peaks are joined by a valley, and their rivals."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import no_type_check

import numba
import numpy as np
from jaxtyping import Float64, Int64, UInt8

from nave.localization.basins import Flood, Parts, Slopes
from nave.localization.components import Box
from nave.localization.foreground import Foreground
from nave.localization.objectness import united
from nave.localization.regions import Regions

PIXELS = 4.0  # about so many pixels lie between the points of the fine grid
PROMINENCE = 1.0  # logits that a peak rises above the valley to a higher one, or it is no object of its own
RIVAL_PROMINENCES, LEVELS = (0.5, 2.0), (0.0, 0.5, 1.0, 1.5, 2.0)  # in logits; the first level is the instances'
VOTES = 0.4  # overlap from which on a rival has a vote in the box of the best instance
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
        factors = [max(round(pixels / PIXELS), 1) for pixels in foreground.patch]
        height, width = (pixels / factor for pixels, factor in zip(foreground.patch, factors, strict=True))
        numbers = int(np.ceil(size[0] / height)), int(np.ceil(size[1] / width))
        rows, columns = map(_points, foreground.steps.shape, factors, numbers)
        return cls(size, (height, width), _interpolated(foreground.logits, *rows, *columns))

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


def _points(tokens: int, factor: int, points: int) -> tuple[Int64[np.ndarray, " n"], Float64[np.ndarray, " n"]]:
    """The token before each point, and the share of the next one; the first and the last are continued outwards."""
    position = np.clip((np.arange(min(points, tokens * factor)) + 0.5) / factor - 0.5, 0, tokens - 1)
    before = np.minimum(position.astype(np.int64), max(tokens - 2, 0))
    return before, position - before


@numba.njit(cache=True, nogil=True, boundscheck=False)
@no_type_check
def _interpolated(
    values: Float64[np.ndarray, "h w"], rows: Int64[np.ndarray, " y"], lower: Float64[np.ndarray, " y"],
    columns: Int64[np.ndarray, " x"], right: Float64[np.ndarray, " x"],
) -> Float64[np.ndarray, "y x"]:  # fmt: skip
    fine = np.empty((len(rows), len(columns)))
    row = np.empty(values.shape[1])
    for y in range(len(rows)):
        below = min(rows[y] + 1, values.shape[0] - 1)
        for column in range(len(row)):
            row[column] = values[rows[y], column] * (1 - lower[y]) + values[below, column] * lower[y]
        for x in range(len(columns)):
            after = min(columns[x] + 1, len(row) - 1)
            fine[y, x] = row[columns[x]] * (1 - right[x]) + row[after] * right[x]
    return fine


def detect(labels: UInt8[np.ndarray, "H W"], foreground: Foreground, min_area: int) -> tuple[Detection, ...]:
    """Finds the instances, best first, and behind them their rivals, which begin where an instance may be wrong.

    An instance is the basin of a prominent peak of the map, down to logit 0. Rivals are what other settings would give
    (smaller and larger prominences, unsplit parts at several levels) and the regions of every cluster and of every two
    adjacent ones. All are scored by the sum of ``tanh(logit)`` divided by the root of their area, as in a scan
    statistic; those of rivals are 1 lower, so that none comes before an instance. The box of the best instance is voted
    for by all that overlap it (Gidaris and Komodakis 2015), and its own becomes a rival. Of boxes that nearly coincide
    the first stays.

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
    slopes = Flood.of(grid.logits, LEVELS[0]).slopes(confidence, LEVELS)
    instances = slopes.parts(prominence=PROMINENCE)
    rivals = *_split(slopes), *_of_clusters(grid.at_points(labels), confidence)
    candidates = Parts(*(np.concatenate(parts) for parts in zip(instances, *rivals, strict=True)))
    large = candidates.area > smallest
    boxes, scores = grid.boxes(candidates.extents[large]), scan(candidates, confidence.size)[large]
    boxes, ranks = _ranked(boxes, scores, instances=int(large[: len(instances.area)].sum()))
    kept = np.array(distinct(boxes, ranks), np.int64)
    found = zip(boxes[kept].tolist(), ranks[kept].tolist(), strict=True)
    return tuple(((x1, y1, x2, y2), score) for (x1, y1, x2, y2), score in found)


def _ranked(
    boxes: Int64[np.ndarray, "n 4"], scores: Float64[np.ndarray, " n"], instances: int
) -> tuple[Int64[np.ndarray, "m 4"], Float64[np.ndarray, " m"]]:
    """The boxes and the scores by which they are ranked; the first ones are ``instances``, the others rivals."""
    ranks = scores - (np.arange(len(scores)) >= instances)
    best = int(scores[:instances].argmax()) if instances else 0
    if not instances or scores[best] <= 0:
        return boxes, ranks
    ranks[best] -= 1  # its own box is a rival of the one that is voted for
    return np.vstack([voted(boxes, scores, best), boxes]), np.append(scores[best], ranks)


def _split(slopes: Slopes) -> Iterator[Parts]:
    """What other prominences and levels make of the same map."""
    for prominence in RIVAL_PROMINENCES:
        yield slopes.parts(prominence=prominence)
    for level in range(len(LEVELS)):
        yield slopes.parts(level)


def _of_clusters(labels: UInt8[np.ndarray, "y x"], confidence: Float64[np.ndarray, "y x"]) -> Iterator[Parts]:
    """The regions of every cluster, and of every two adjacent ones."""
    regions = Regions.of(labels)
    total = totals(regions, confidence)
    yield Parts(regions.boxes, regions.area, total)
    pairs = united(regions, total, int(labels.max()) + 1)
    yield Parts(pairs.boxes, pairs.area, pairs.total)


def scan(parts: Parts, points: int) -> Float64[np.ndarray, " n"]:
    """Returns the scan statistic of each, of all ``points`` of the grid."""
    scores: Float64[np.ndarray, " n"] = parts.total / np.sqrt(parts.area * points)
    return scores


def totals(regions: Regions, weights: Float64[np.ndarray, "y x"]) -> Float64[np.ndarray, " R"]:
    """Returns the sum of the points' weights over each region."""
    of_spans = np.add.reduceat(weights.ravel(), regions.spans.starts[:-1])
    sums: Float64[np.ndarray, " R"] = np.bincount(regions.of_span, of_spans)
    return sums


@numba.njit(cache=True, nogil=True, boundscheck=False)
@no_type_check
def voted(boxes: Int64[np.ndarray, "n 4"], scores: Float64[np.ndarray, " n"], one: int) -> Int64[np.ndarray, "4"]:
    """Returns the mean of all boxes that overlap ``one`` by ``VOTES`` and score above 0, weighted by their scores."""
    total, weight = np.zeros(4), 0.0
    for other in range(len(boxes)):
        if scores[other] > 0 and _overlap(boxes[one], boxes[other]) >= VOTES:
            total += scores[other] * boxes[other]
            weight += scores[other]
    return np.rint(total / weight).astype(np.int64)


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
