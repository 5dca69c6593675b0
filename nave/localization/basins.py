"""How a map of points is parted into the basins of its peaks, and what the basins hold at several levels."""

from collections.abc import Sequence
from typing import NamedTuple, no_type_check

import numba
import numpy as np
from jaxtyping import Float64, Int16, Int32, Int64

STEP, HIGHEST = 2.0**-12, 2**15 - 1  # heights count in steps, at most so many, below and above zero: from -8 to 8


class Parts(NamedTuple):
    """Parts of a map: their extents (xyxy, half-open), their points, and the sums of the points' weights."""

    extents: Int64[np.ndarray, "n 4"]
    area: Int64[np.ndarray, " n"]
    total: Float64[np.ndarray, " n"]


class Flood(NamedTuple):
    """A map flooded from its highest point down to a base: what its basins at any prominence have in common.

    Args:
        steps: the heights, in steps.
        peak: the peak to which every point ascends, numbered from the highest; -1 below the base.
        heights: of the peaks, in steps.
        passes: two peaks whose slopes meet at a point, from the highest such point down; those that join what higher
            ones have joined are left out, as a basin that one of them has not merged is too high for them as well.
        levels: heights of these points, in steps.
    """

    steps: Int16[np.ndarray, "y x"]
    peak: Int32[np.ndarray, "y x"]
    heights: Int64[np.ndarray, " P"]
    passes: Int32[np.ndarray, "n 2"]
    levels: Int64[np.ndarray, " n"]

    @classmethod
    def of(cls, heights: Float64[np.ndarray, "y x"], base: float) -> "Flood":
        """Floods what lies above ``base``. A point with no flooded neighbour is a peak, another joins its highest."""
        steps = np.rint(heights / STEP).clip(-HIGHEST, HIGHEST).astype(np.int16)
        points = np.flatnonzero(steps > base / STEP)
        order = points[np.argsort(-steps.ravel()[points], kind="stable")]  # by digits: five times as fast as of floats
        return cls(steps, *_flooded(steps, order))

    def basins(self, prominence: float) -> Int32[np.ndarray, "y x"]:
        """Returns the basins of the prominent peaks (ToMATo, Chazal et al. 2013).

        Where two basins meet, the one with the lower peak is merged into the other unless it rises by ``prominence``
        above the meeting point.

        Returns:
            The basin of every point in order of their peaks' heights, -1 where there is none.
        """
        basin, _ = _merged(self.heights, self.levels, self.passes, prominence / STEP)
        ids: Int32[np.ndarray, "y x"] = basin[self.peak]
        return ids

    def slopes(self, weights: Float64[np.ndarray, "y x"], levels: Sequence[float]) -> "Slopes":
        """Measures the slopes of all peaks above each of the ascending ``levels``, none of which is below the base."""
        edges = np.array(levels) / STEP
        return Slopes(self, edges, *_slopes(self.steps, self.peak, weights, edges, len(self.heights)))


class Slopes(NamedTuple):
    """What lies above several levels, by the peak to which it ascends: as :class:`Parts`, for each level."""

    flood: Flood
    levels: Float64[np.ndarray, " L"]  # in steps
    extents: Int64[np.ndarray, "L P 4"]
    area: Int64[np.ndarray, "L P"]
    total: Float64[np.ndarray, "L P"]

    def parts(self, level: int = 0, prominence: float = np.inf) -> Parts:
        """Returns the connected parts above a level, by its number, split as :meth:`Flood.basins` splits them."""
        flood = self.flood
        above = flood.passes[: np.searchsorted(-flood.levels, -self.levels[level])]
        basin, count = _merged(flood.heights, flood.levels, above, prominence / STEP)
        return Parts(*_united(basin, count, self.extents[level], self.area[level], self.total[level]))


@numba.njit(cache=True, nogil=True, boundscheck=False)
@no_type_check
def _flooded(
    steps: Int16[np.ndarray, "y x"], order: Int64[np.ndarray, " n"]
) -> tuple[Int32[np.ndarray, "y x"], Int64[np.ndarray, " P"], Int32[np.ndarray, "n 2"], Int64[np.ndarray, " n"]]:
    """What a Flood holds, of the points in their ``order``."""
    rows, columns = steps.shape
    height = steps.ravel()
    rank, peak = np.empty(height.size, np.int32), np.full(height.size, -1, np.int32)
    peaks, count = np.empty(len(order), np.int64), 0
    root = np.arange(len(order))
    passes, levels, met = np.empty((len(order), 2), np.int32), np.empty(len(order), np.int64), 0
    near = np.empty(4, np.int64)
    for number in range(len(order)):
        point = order[number]
        y, x = point // columns, point % columns
        flooded, first, own, slopes_meet = 0, number, np.int32(-1), False
        for there, neighbour in (
            (y > 0, point - columns),
            (x > 0, point - 1),
            (x < columns - 1, point + 1),
            (y < rows - 1, point + columns),
        ):
            if there and peak[neighbour] >= 0:
                near[flooded] = neighbour
                flooded += 1
                slopes_meet |= own >= 0 and peak[neighbour] != own
                if rank[neighbour] < first:
                    first, own = rank[neighbour], peak[neighbour]
        if own < 0:
            own, peaks[count] = np.int32(count), height[point]
            count += 1
        rank[point], peak[point] = number, own
        if not slopes_meet:
            continue
        for neighbour in near[:flooded]:
            one, other = _find(root, own), _find(root, peak[neighbour])
            if one != other:
                root[max(one, other)] = min(one, other)
                passes[met, 0], passes[met, 1], levels[met] = own, peak[neighbour], height[point]
                met += 1
    return peak.reshape(rows, columns), peaks[:count], passes[:met], levels[:met]


@numba.njit(cache=True, nogil=True, boundscheck=False)
@no_type_check
def _slopes(
    steps: Int16[np.ndarray, "y x"], peak: Int32[np.ndarray, "y x"], weights: Float64[np.ndarray, "y x"],
    levels: Float64[np.ndarray, " L"], count: int,
) -> tuple[Int64[np.ndarray, "L P 4"], Int64[np.ndarray, "L P"], Float64[np.ndarray, "L P"]]:  # fmt: skip
    """Measures what lies between one level and the next, and adds what lies above the next."""
    extents = np.empty((len(levels), count, 4), np.int64)
    extents[:, :, :2], extents[:, :, 2:] = np.iinfo(np.int64).max, 0
    area, total = np.zeros((len(levels), count), np.int64), np.zeros((len(levels), count))
    for y in range(steps.shape[0]):
        for x in range(steps.shape[1]):
            own = peak[y, x]
            if own < 0:
                continue
            band = 0
            while band + 1 < len(levels) and steps[y, x] > levels[band + 1]:
                band += 1
            area[band, own] += 1
            total[band, own] += weights[y, x]
            _extend(extents[band, own], (x, y, x + 1, y + 1))
    for band in range(len(levels) - 2, -1, -1):
        area[band] += area[band + 1]
        total[band] += total[band + 1]
        for own in range(count):
            _extend(extents[band, own], extents[band + 1, own])
    return extents, area, total


@numba.njit(cache=True, nogil=True, boundscheck=False)
@no_type_check
def _extend(extent: Int64[np.ndarray, "4"], other: Int64[np.ndarray, "4"] | tuple[int, int, int, int]) -> None:
    extent[0], extent[1] = min(extent[0], other[0]), min(extent[1], other[1])
    extent[2], extent[3] = max(extent[2], other[2]), max(extent[3], other[3])


@numba.njit(cache=True, nogil=True, boundscheck=False)
@no_type_check
def _merged(
    heights: Int64[np.ndarray, " P"],
    levels: Int64[np.ndarray, " n"],
    passes: Int32[np.ndarray, "m 2"],
    prominence: float,
) -> tuple[Int32[np.ndarray, " P+1"], int]:
    """The basin of every peak, and -1 behind them for the points that have none; and the number of basins."""
    root = np.arange(len(heights))
    for number in range(len(passes)):
        one, other = _find(root, passes[number, 0]), _find(root, passes[number, 1])
        lower, higher = max(one, other), min(one, other)
        if heights[lower] - levels[number] < prominence:
            root[lower] = higher
    basin, count = np.full(len(heights) + 1, -1, np.int32), 0
    for peak in range(len(heights)):
        own = _find(root, peak)
        if own == peak:
            basin[peak] = count
            count += 1
        basin[peak] = basin[own]
    return basin, count


@numba.njit(cache=True, nogil=True, boundscheck=False)
@no_type_check
def _find(root: Int64[np.ndarray, " n"], point: int) -> int:
    while root[point] != point:
        root[point] = root[root[point]]
        point = root[point]
    return point


@numba.njit(cache=True, nogil=True, boundscheck=False)
@no_type_check
def _united(
    basin: Int32[np.ndarray, " P+1"], count: int, extents: Int64[np.ndarray, "P 4"], area: Int64[np.ndarray, " P"],
    total: Float64[np.ndarray, " P"],
) -> tuple[Int64[np.ndarray, "n 4"], Int64[np.ndarray, " n"], Float64[np.ndarray, " n"]]:  # fmt: skip
    """Adds up the slopes of every basin; of those that a level cuts off nothing is left."""
    extents_of, area_of, total_of = np.zeros((count, 4), np.int64), np.zeros(count, np.int64), np.zeros(count)
    extents_of[:, :2] = np.iinfo(np.int64).max
    for peak in range(len(area)):
        own = basin[peak]
        area_of[own] += area[peak]
        total_of[own] += total[peak]
        _extend(extents_of[own], extents[peak])
    left = area_of > 0
    return extents_of[left], area_of[left], total_of[left]
