"""How a map of points is parted: into what hangs together, and into the basins of its peaks."""

from typing import no_type_check

import numba
import numpy as np
from jaxtyping import Bool, Float64, Int32, Int64


@numba.njit(cache=True, nogil=True, boundscheck=False)
@no_type_check
def parts(mask: Bool[np.ndarray, "y x"]) -> Int32[np.ndarray, "y x"]:
    """The 4-connected part of every point in raster order of their first points, -1 outside the mask."""
    rows, columns = mask.shape
    ids = np.full((rows, columns), -1, np.int32)
    stack = np.empty((mask.size, 2), np.int64)
    count = 0
    for y in range(rows):
        for x in range(columns):
            if not mask[y, x] or ids[y, x] >= 0:
                continue
            ids[y, x] = count
            stack[0], depth = (y, x), 1
            while depth:
                depth -= 1
                row, column = stack[depth]
                for down, right in ((-1, 0), (0, -1), (0, 1), (1, 0)):
                    i, j = row + down, column + right
                    if 0 <= i < rows and 0 <= j < columns and mask[i, j] and ids[i, j] < 0:
                        ids[i, j] = count
                        stack[depth], depth = (i, j), depth + 1
            count += 1
    return ids


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
