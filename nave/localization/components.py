"""Connected components of a label map, with their boxes and inner boxes."""

from dataclasses import dataclass
from typing import no_type_check

import numba
import numpy as np
from jaxtyping import Bool, Float64, Int, Int32, Int64, Integer

Box = tuple[int, int, int, int]  # xyxy in pixels, half-open


@numba.njit(cache=True, nogil=True, boundscheck=False)
@no_type_check
def label_regions(labels: Int32[np.ndarray, "H W"]) -> tuple[Int32[np.ndarray, "H W"], int]:
    """Labels the 4-connected regions of equal labels in two passes with a union-find (Rosenfeld and Pfaltz 1966).

    Regions are numbered in raster order of their first pixels.

    Returns:
        The region of every pixel, -1 where the label is negative, and the number of regions.
    """
    H, W = labels.shape
    ids = np.full((H, W), -1, np.int32)
    parent = np.empty(H * W, np.int32)
    count = 0
    for y in range(H):
        for x in range(W):
            label = labels[y, x]
            if label < 0:
                continue
            above = y > 0 and labels[y - 1, x] == label
            before = x > 0 and labels[y, x - 1] == label
            if before:
                ids[y, x] = ids[y, x - 1]
                if above and labels[y - 1, x - 1] != label:
                    union(parent, ids[y, x], ids[y - 1, x])
            elif above:
                ids[y, x] = ids[y - 1, x]
            else:
                ids[y, x] = parent[count] = count
                count += 1
    number = consecutive_ids(parent[:count])
    for y in range(H):
        for x in range(W):
            if ids[y, x] >= 0:
                ids[y, x] = number[ids[y, x]]
    return ids, number.max() + 1 if count else 0


@numba.njit(cache=True, nogil=True, boundscheck=False)
@no_type_check
def union(parent: Int32[np.ndarray, " n"], one: int, other: int) -> None:
    """Unites two sets under the lower of their roots."""
    while parent[one] != one:
        one = parent[one]
    while parent[other] != other:
        other = parent[other]
    parent[max(one, other)] = min(one, other)


@numba.njit(cache=True, nogil=True, boundscheck=False)
@no_type_check
def consecutive_ids(parent: Int32[np.ndarray, " n"]) -> Int32[np.ndarray, " n"]:
    """Numbers the sets 0, 1, ... in the order of their lowest members."""
    number = np.empty(len(parent), np.int32)
    count = 0
    for member in range(len(parent)):
        if parent[member] == member:
            number[member] = count
            count += 1
        else:
            number[member] = number[parent[member]]
    return number


@numba.njit(cache=True, nogil=True, boundscheck=False)
@no_type_check
def merge_clusters(
    cluster: Int64[np.ndarray, " R"],
    clusters: tuple[int, int],
    area: Int64[np.ndarray, " R"],
    total: Float64[np.ndarray, " R"],
    boxes: Int64[np.ndarray, "R 4"],
    neighbours: Int64[np.ndarray, "E 2"],
) -> tuple[Int64[np.ndarray, " n"], Float64[np.ndarray, " n"], Int64[np.ndarray, "n 4"]]:
    """Merges adjacent regions of two clusters and returns the areas, weights and boxes of the result."""
    parent = np.arange(len(cluster)).astype(np.int32)
    member = (cluster == clusters[0]) | (cluster == clusters[1])
    for edge in range(len(neighbours)):
        one, other = neighbours[edge]
        if member[one] and member[other]:
            union(parent, one, other)
    for region in range(len(parent)):
        parent[region] = parent[parent[region]]  # a parent is lower, so its root is known already
    number = np.cumsum(member & (parent == np.arange(len(parent)))) - 1
    count = number[-1] + 1
    areas, totals, extents = np.zeros(count, np.int64), np.zeros(count, np.float64), np.empty((count, 4), np.int64)
    for region in range(len(parent)):
        if not member[region]:
            continue
        group = number[parent[region]]
        if areas[group] == 0:
            extents[group] = boxes[region]
        areas[group] += area[region]
        totals[group] += total[region]
        extents[group, :2] = np.minimum(extents[group, :2], boxes[region, :2])
        extents[group, 2:] = np.maximum(extents[group, 2:], boxes[region, 2:])
    return areas, totals, extents


@numba.njit(cache=True, nogil=True, boundscheck=False)
@no_type_check
def measure_regions(
    ids: Int32[np.ndarray, "H W"], weights: Float64[np.ndarray, "H W"], count: int
) -> tuple[Int64[np.ndarray, " n"], Int64[np.ndarray, " n"], Float64[np.ndarray, " n"], Int64[np.ndarray, "n 4"]]:
    """Returns the first pixel in raster order, the area, the sum of weights and the box of every region."""
    H, W = ids.shape
    first = np.zeros(count, np.int64)
    area = np.zeros(count, np.int64)
    total = np.zeros(count, np.float64)
    boxes = np.zeros((count, 4), np.int64)
    for y in range(H):
        for x in range(W):
            region = ids[y, x]
            if area[region] == 0:
                first[region] = y * W + x
                boxes[region] = x, y, x + 1, y + 1
            area[region] += 1
            total[region] += weights[y, x]
            boxes[region, 0] = min(boxes[region, 0], x)
            boxes[region, 2] = max(boxes[region, 2], x + 1)
            boxes[region, 3] = y + 1
    return first, area, total, boxes


@dataclass(frozen=True)
class Component:
    """A 4-connected region of one cluster; boxes in pixels of the map.

    ``inner_box`` is centred on the median row and median column of the region's pixels. On each axis it extends to the
    nearer side of ``box``, so it lies inside ``box`` and shares a side with it. A median half-way between two positions
    is not rounded, and the corners are integers all the same.
    """

    cluster: int
    area: int
    box: Box
    inner_box: Box


@dataclass(frozen=True)
class Components:
    """The components of a map, in raster order of their first pixels."""

    ids: Int32[np.ndarray, "H W"]  # 0: no component; i + 1: pixels of items[i]
    items: tuple[Component, ...]

    def mask(self, index: int) -> Bool[np.ndarray, "H W"]:
        """Returns the pixels of ``items[index]``."""
        mask: Bool[np.ndarray, "H W"] = self.ids == index + 1
        return mask


def components(labels: Integer[np.ndarray, "H W"], *, min_area: int, border: int) -> Components:
    """Finds the 4-connected components of every cluster (NAVE, arXiv 2411.19700).

    Memory grows with the number of components times (H + W).

    Args:
        labels: the map; negative labels belong to no cluster.
        min_area: components have more pixels than this.
        border: rows and columns along every side that are removed before labelling.

    Raises:
        ValueError: if ``min_area`` or ``border`` is negative.
    """
    if border < 0 or min_area < 0:
        raise ValueError(f"border={border} and min_area={min_area} must not be negative")
    height, width = labels.shape
    ids = np.zeros((height, width), np.int32)
    if min(height, width) <= 2 * border:
        return Components(ids, ())
    inside = (slice(border, height - border), slice(border, width - border))
    ids[inside] = _large_regions(labels[inside], min_area)
    return Components(ids, _describe(ids, labels))


def _large_regions(labels: Integer[np.ndarray, "h w"], min_area: int) -> Int32[np.ndarray, "h w"]:
    regions = label_regions(labels.astype(np.int32))[0] + 1
    large = np.bincount(regions.ravel()) > min_area
    large[0] = False
    ids: Int32[np.ndarray, "h w"] = np.where(large, np.cumsum(large), 0).astype(np.int32)[regions]
    return ids


def _describe(ids: Int32[np.ndarray, "H W"], labels: Integer[np.ndarray, "H W"]) -> tuple[Component, ...]:
    height, width = ids.shape
    count = int(ids.max())
    rows = _profile(ids, np.arange(height)[:, None], count)
    columns = _profile(ids, np.arange(width), count)
    y1, y2, inner_y1, inner_y2 = _extents(rows)
    x1, x2, inner_x1, inner_x2 = _extents(columns)
    first = np.argmax(ids[y1] == np.arange(1, count + 1)[:, None], axis=1)
    fields = [labels[y1, first], rows.sum(axis=1), x1, y1, x2, y2, inner_x1, inner_y1, inner_x2, inner_y2]
    table = np.stack(fields, axis=1).tolist()
    return tuple(Component(row[0], row[1], (*row[2:6],), (*row[6:],)) for row in table)


def _profile(
    ids: Int32[np.ndarray, "H W"], position: Int[np.ndarray, "..."], count: int
) -> Int[np.ndarray, "count length"]:
    """Counts the pixels of every component at each position of one axis."""
    cells = ids + position * (count + 1)
    counts = np.bincount(cells.ravel(), minlength=position.size * (count + 1))
    return counts.reshape(position.size, count + 1).T[1:]


def _extents(profile: Int[np.ndarray, "count length"]) -> tuple[Int[np.ndarray, " count"], ...]:
    """Returns start, end, inner start and inner end of every component on one axis, half-open."""
    below = np.cumsum(profile, axis=1)
    area = below[:, -1:]
    start = np.argmax(below > 0, axis=1)
    end = np.argmax(below == area, axis=1) + 1
    lower, upper = (area + 1) // 2, area // 2 + 1  # their mean is the rank of the median
    centre = np.argmax(below >= lower, axis=1) + np.argmax(below >= upper, axis=1) + 1  # doubled: an integer
    half = np.minimum(centre - 2 * start, 2 * end - centre)
    return start, end, (centre - half) // 2, (centre + half) // 2
