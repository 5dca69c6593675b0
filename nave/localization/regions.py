"""The 4-connected regions of a map, compiled: every localizer needs them for every map."""

from typing import no_type_check

import numba
import numpy as np
from jaxtyping import Float64, Int32, Int64


@numba.njit(cache=True, nogil=True, boundscheck=False)
@no_type_check
def region_ids(labels: Int32[np.ndarray, "H W"]) -> tuple[Int32[np.ndarray, "H W"], int]:
    """Every pixel's region, and how many there are; -1 where the label is negative.

    Regions are numbered in raster order of their first pixels. Two passes over the map with a union-find whose
    roots are the lowest ids (Rosenfeld and Pfaltz 1966).
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
                    join(parent, ids[y, x], ids[y - 1, x])
            elif above:
                ids[y, x] = ids[y - 1, x]
            else:
                ids[y, x] = parent[count] = count
                count += 1
    number = final_numbers(parent[:count])
    for y in range(H):
        for x in range(W):
            if ids[y, x] >= 0:
                ids[y, x] = number[ids[y, x]]
    return ids, number.max() + 1 if count else 0


@numba.njit(cache=True, nogil=True, boundscheck=False)
@no_type_check
def join(parent: Int32[np.ndarray, " n"], one: int, other: int) -> None:
    """Makes two sets one; the lower root stays."""
    while parent[one] != one:
        one = parent[one]
    while parent[other] != other:
        other = parent[other]
    parent[max(one, other)] = min(one, other)


@numba.njit(cache=True, nogil=True, boundscheck=False)
@no_type_check
def final_numbers(parent: Int32[np.ndarray, " n"]) -> Int32[np.ndarray, " n"]:
    """The sets' numbers, 0, 1, … in the order of their lowest members."""
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
def merged(
    cluster: Int64[np.ndarray, " R"],
    clusters: tuple[int, int],
    area: Int64[np.ndarray, " R"],
    total: Float64[np.ndarray, " R"],
    boxes: Int64[np.ndarray, "R 4"],
    neighbours: Int64[np.ndarray, "E 2"],
) -> tuple[Int64[np.ndarray, " n"], Float64[np.ndarray, " n"], Int64[np.ndarray, "n 4"]]:
    """Areas, weights and boxes of the regions of two clusters where those that share an edge are one."""
    parent = np.arange(len(cluster)).astype(np.int32)
    member = (cluster == clusters[0]) | (cluster == clusters[1])
    for edge in range(len(neighbours)):
        one, other = neighbours[edge]
        if member[one] and member[other]:
            join(parent, one, other)
    for region in range(len(parent)):
        parent[region] = parent[parent[region]]  # roots are lower, so a parent's own is known
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
def measured(
    ids: Int32[np.ndarray, "H W"], weights: Float64[np.ndarray, "H W"], count: int
) -> tuple[Int64[np.ndarray, " n"], Int64[np.ndarray, " n"], Float64[np.ndarray, " n"], Int64[np.ndarray, "n 4"]]:
    """Of every region: its first pixel in raster order, its pixels, their weights' sum, and its box."""
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
