"""How a map of points is parted into the basins of its peaks."""

from typing import NamedTuple, no_type_check

import numba
import numpy as np
from jaxtyping import Float64, Int32, Int64

STEP, RANGE = 2.0**-12, (-(2**15), 2**15 - 1)  # heights that differ by less than a step count as equal


class Flood(NamedTuple):
    """A map flooded from its highest point down to a level: what its basins at any prominence have in common.

    Args:
        peak: the peak to which every point ascends, numbered from the highest; -1 below the level.
        heights: of the peaks.
        passes: two peaks whose slopes meet at a point, from the highest such point down.
        levels: heights of these points.
    """

    peak: Int32[np.ndarray, "y x"]
    heights: Float64[np.ndarray, " P"]
    passes: Int32[np.ndarray, "n 2"]
    levels: Float64[np.ndarray, " n"]

    @classmethod
    def of(cls, heights: Float64[np.ndarray, "y x"], base: float) -> "Flood":
        """Floods what lies above ``base``. A point with no flooded neighbour is a peak, another joins its highest.

        Heights are told apart in steps of ``STEP``, from -8 to 8.
        """
        flat = heights.ravel()
        points = np.flatnonzero(flat > base)
        steps = np.rint(-flat[points] / STEP).clip(*RANGE).astype(np.int16)  # sorted by digits: five times as fast
        return cls(*_flooded(heights, points[np.argsort(steps, kind="stable")]))

    def basins(self, prominence: float) -> Int32[np.ndarray, "y x"]:
        """Returns the basins of the prominent peaks (ToMATo, Chazal et al. 2013).

        Where two basins meet, the one with the lower peak is merged into the other unless it rises by ``prominence``
        above the meeting point.

        Returns:
            The basin of every point in order of their peaks' heights, -1 where there is none.
        """
        basin: Int32[np.ndarray, "y x"] = _merged(self.heights, self.passes, self.levels, prominence)[self.peak]
        return basin


@numba.njit(cache=True, nogil=True, boundscheck=False)
@no_type_check
def _flooded(
    heights: Float64[np.ndarray, "y x"], order: Int64[np.ndarray, " n"]
) -> tuple[Int32[np.ndarray, "y x"], Float64[np.ndarray, " P"], Int32[np.ndarray, "n 2"], Float64[np.ndarray, " n"]]:
    """What a Flood holds, of the points in their ``order``."""
    rows, columns = heights.shape
    height = heights.ravel()
    rank = np.full(height.size, height.size)  # beyond all others: not flooded
    peak = np.full(height.size, -1, np.int32)
    peaks, count = np.empty(len(order)), 0
    passes, levels, met = np.empty((3 * len(order), 2), np.int32), np.empty(3 * len(order)), 0
    steps = np.array([-columns, -1, 1, columns])
    for number in range(len(order)):
        point = order[number]
        column = point % columns
        inside = point >= columns, column > 0, column < columns - 1, point < height.size - columns
        highest = point
        for side in range(4):
            if inside[side] and rank[point + steps[side]] < rank[highest]:
                highest = point + steps[side]
        if highest == point:
            peak[point] = count
            peaks[count] = height[point]
            count += 1
        else:
            peak[point] = peak[highest]
        rank[point] = number
        for side in range(4):
            if inside[side] and rank[point + steps[side]] < number and peak[point + steps[side]] != peak[point]:
                passes[met, 0], passes[met, 1] = peak[point], peak[point + steps[side]]
                levels[met] = height[point]
                met += 1
    return peak.reshape(rows, columns), peaks[:count], passes[:met], levels[:met]


@numba.njit(cache=True, nogil=True, boundscheck=False)
@no_type_check
def _merged(
    heights: Float64[np.ndarray, " P"],
    passes: Int32[np.ndarray, "n 2"],
    levels: Float64[np.ndarray, " n"],
    prominence: float,
) -> Int32[np.ndarray, " P+1"]:
    """The basin of every peak, and -1 behind them for the points that have none."""
    root = np.arange(len(heights))
    for number in range(len(levels)):
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
    return basin


@numba.njit(cache=True, nogil=True, boundscheck=False)
@no_type_check
def _find(root: Int64[np.ndarray, " n"], point: int) -> int:
    while root[point] != point:
        root[point] = root[root[point]]
        point = root[point]
    return point
