"""The 4-connected regions of a map, found row by row on its spans, which are fifty times fewer than its pixels."""

from dataclasses import dataclass
from typing import no_type_check

import numba
import numpy as np
from jaxtyping import Float64, Int32, Int64, UInt8


@dataclass(frozen=True, eq=False)
class Spans:
    """The runs of equal labels in the rows of a map.

    Args:
        size: (height, width) of the map.
        starts: flat index of each span's first pixel, then the number of pixels; a span ends where the next starts.
        rows: number of each row's first span, then the number of spans.
        labels: the label of each span.
        contacts: spans that touch, one above the other: (upper, lower).
    """

    size: tuple[int, int]
    starts: Int64[np.ndarray, " starts"]
    rows: Int64[np.ndarray, " rows"]
    labels: UInt8[np.ndarray, " S"]
    contacts: Int32[np.ndarray, "C 2"]

    @classmethod
    def of(cls, labels: UInt8[np.ndarray, "H W"]) -> "Spans":
        """The spans of a map."""
        height, width = labels.shape
        begins = np.ones((height, width), bool)
        np.not_equal(labels[:, 1:], labels[:, :-1], out=begins[:, 1:])
        starts = np.append(np.flatnonzero(begins), labels.size)
        rows = np.searchsorted(starts, np.arange(height + 1) * width)
        return cls((height, width), starts, rows, labels.ravel()[starts[:-1]], _contacts(starts, rows, width))


@dataclass(frozen=True, eq=False)
class Regions:
    """The 4-connected regions of a map, in raster order of their first pixels."""

    spans: Spans
    of_span: Int32[np.ndarray, " S"]  # the region of each span
    cluster: Int64[np.ndarray, " R"]
    area: Int64[np.ndarray, " R"]
    boxes: Int64[np.ndarray, "R 4"]  # xyxy, half-open

    @classmethod
    def of(cls, labels: UInt8[np.ndarray, "H W"]) -> "Regions":
        """The regions of a map."""
        spans = Spans.of(labels)
        of_span, count = _connected(spans.labels, spans.contacts)
        return cls(spans, of_span, *_measured(spans.starts, spans.labels, of_span, count, labels.shape[1]))

    def at(self, pixel: tuple[int, int]) -> int:
        """The region of the pixel (y, x)."""
        flat = pixel[0] * self.spans.size[1] + pixel[1]
        return int(self.of_span[np.searchsorted(self.spans.starts, flat, side="right") - 1])

    def sums(self, rows: Float64[np.ndarray, " H"], columns: Float64[np.ndarray, " W"]) -> Float64[np.ndarray, " R"]:
        """The sum over each region of the weights ``rows[y] * columns[x]``."""
        below = np.concatenate([np.zeros(1), np.cumsum(columns)])
        sums: Float64[np.ndarray, " R"] = _sums(self.spans.starts, self.spans.rows, self.of_span, rows, below)
        return sums[: len(self.area)]

    def adjacent(
        self, count: int
    ) -> tuple[Int64[np.ndarray, "P 2"], Int64[np.ndarray, " P+1"], Int32[np.ndarray, "E 2"]]:
        """The pairs of adjacent regions, sorted by the two of ``count`` clusters to which they belong.

        Returns:
            The pairs of clusters, lower ones first; where the regions of each begin, then their number; the regions. A
            pair comes as often as its spans touch.
        """
        spans = self.spans
        begins, regions = _adjacent(spans.labels, spans.rows, spans.contacts, self.of_span, count)
        present = np.flatnonzero(np.diff(begins))
        return np.stack(np.divmod(present, count), axis=1), np.append(begins[present], len(regions)), regions

    def profiles(self, chosen: Int64[np.ndarray, " n"]) -> tuple[Int64[np.ndarray, "n H"], Int64[np.ndarray, "n W"]]:
        """The number of pixels of the chosen regions in every row and in every column."""
        number = np.full(len(self.area), -1)
        number[chosen] = np.arange(len(chosen))
        rows, columns = _profiles(self.spans.starts, number[self.of_span], len(chosen), *self.spans.size)
        return rows, columns


@numba.njit(cache=True, nogil=True, boundscheck=False)
@no_type_check
def _contacts(
    starts: Int64[np.ndarray, " starts"], rows: Int64[np.ndarray, " rows"], width: int
) -> Int32[np.ndarray, "C 2"]:
    """The spans of neighbouring rows that touch, in raster order of the lower ones."""
    contacts = np.empty((2 * len(starts), 2), np.int32)
    count = 0
    for y in range(1, len(rows) - 1):
        upper, lower = rows[y - 1], rows[y]
        while upper < rows[y] and lower < rows[y + 1]:
            first = max(starts[upper] + width, starts[lower])
            last = min(starts[upper + 1] + width, starts[lower + 1])
            if first < last:
                contacts[count, 0], contacts[count, 1] = upper, lower
                count += 1
            ends = starts[upper + 1] + width - starts[lower + 1]
            upper += ends <= 0
            lower += ends >= 0
    return contacts[:count]


@numba.njit(cache=True, nogil=True, boundscheck=False)
@no_type_check
def _connected(
    labels: UInt8[np.ndarray, " S"], contacts: Int32[np.ndarray, "C 2"]
) -> tuple[Int32[np.ndarray, " S"], int]:
    """The region of every span, and the number of regions, by a union-find (Rosenfeld and Pfaltz 1966)."""
    parent = np.arange(len(labels)).astype(np.int32)
    for contact in range(len(contacts)):
        upper, lower = contacts[contact, 0], contacts[contact, 1]
        if labels[upper] == labels[lower]:
            union(parent, upper, lower)
    return consecutive_ids(parent)


@numba.njit(cache=True, nogil=True, boundscheck=False)
@no_type_check
def union(parent: Int32[np.ndarray, " n"], one: int, other: int) -> None:
    """Unites two sets under the lower of their roots."""
    while parent[one] != one:
        parent[one] = parent[parent[one]]
        one = parent[one]
    while parent[other] != other:
        parent[other] = parent[parent[other]]
        other = parent[other]
    parent[max(one, other)] = min(one, other)


@numba.njit(cache=True, nogil=True, boundscheck=False)
@no_type_check
def consecutive_ids(parent: Int32[np.ndarray, " n"]) -> tuple[Int32[np.ndarray, " n"], int]:
    """Numbers the sets 0, 1, ... in the order of their lowest members; also returns how many there are."""
    number = np.empty(len(parent), np.int32)
    count = 0
    for member in range(len(parent)):
        if parent[member] == member:
            number[member] = count
            count += 1
        else:
            number[member] = number[parent[member]]
    return number, count


@numba.njit(cache=True, nogil=True, boundscheck=False)
@no_type_check
def _adjacent(
    labels: UInt8[np.ndarray, " S"], rows: Int64[np.ndarray, " rows"], contacts: Int32[np.ndarray, "C 2"],
    of_span: Int32[np.ndarray, " S"], count: int,
) -> tuple[Int64[np.ndarray, " pairs"], Int32[np.ndarray, "E 2"]]:  # fmt: skip
    """Regions that touch, sorted by counting: where those of every pair of clusters begin, and the regions."""
    touching, found = np.empty((len(labels) + len(contacts), 2), np.int32), 0
    for y in range(len(rows) - 1):
        for span in range(rows[y] + 1, rows[y + 1]):
            touching[found, 0], touching[found, 1] = span - 1, span
            found += 1
    for contact in contacts:
        if labels[contact[0]] != labels[contact[1]]:
            touching[found] = contact
            found += 1
    pair, begins = np.empty(found, np.int64), np.zeros(count * count + 1, np.int64)
    for number in range(found):
        one, other = labels[touching[number, 0]], labels[touching[number, 1]]
        pair[number] = min(one, other) * count + max(one, other)
        begins[pair[number] + 1] += 1
    begins = np.cumsum(begins)
    free, regions = begins.copy(), np.empty((found, 2), np.int32)
    for number in range(found):
        place = free[pair[number]]
        free[pair[number]] += 1
        regions[place, 0], regions[place, 1] = of_span[touching[number, 0]], of_span[touching[number, 1]]
    return begins, regions


@numba.njit(cache=True, nogil=True, boundscheck=False)
@no_type_check
def _measured(
    starts: Int64[np.ndarray, " starts"], labels: UInt8[np.ndarray, " S"], of_span: Int32[np.ndarray, " S"],
    count: int, width: int,
) -> tuple[Int64[np.ndarray, " R"], Int64[np.ndarray, " R"], Int64[np.ndarray, "R 4"]]:  # fmt: skip
    """The cluster, the area and the box of every region."""
    cluster, area, boxes = np.empty(count, np.int64), np.zeros(count, np.int64), np.empty((count, 4), np.int64)
    for span in range(len(labels)):
        region, y = of_span[span], starts[span] // width
        x1, x2 = starts[span] - y * width, starts[span + 1] - y * width
        if area[region] == 0:
            cluster[region] = labels[span]
            boxes[region] = x1, y, x2, y + 1
        area[region] += x2 - x1
        boxes[region, 0] = min(boxes[region, 0], x1)
        boxes[region, 2] = max(boxes[region, 2], x2)
        boxes[region, 3] = y + 1
    return cluster, area, boxes


@numba.njit(cache=True, nogil=True, boundscheck=False)
@no_type_check
def _sums(
    starts: Int64[np.ndarray, " starts"], first: Int64[np.ndarray, " rows"], of_span: Int32[np.ndarray, " S"],
    rows: Float64[np.ndarray, " H"], below: Float64[np.ndarray, " W+1"],
) -> Float64[np.ndarray, " S"]:  # fmt: skip
    """Adds up the spans of every region; ``below`` sums the columns' weights before each column."""
    sums, width = np.zeros(len(of_span)), len(below) - 1
    for y in range(len(rows)):
        for span in range(first[y], first[y + 1]):
            left, right = starts[span] - y * width, starts[span + 1] - y * width
            sums[of_span[span]] += (below[right] - below[left]) * rows[y]
    return sums


@numba.njit(cache=True, nogil=True, boundscheck=False)
@no_type_check
def _profiles(
    starts: Int64[np.ndarray, " starts"], number: Int64[np.ndarray, " S"], count: int, height: int, width: int
) -> tuple[Int64[np.ndarray, "n H"], Int64[np.ndarray, "n W"]]:
    rows, columns = np.zeros((count, height), np.int64), np.zeros((count, width + 1), np.int64)
    for span in range(len(number)):
        region = number[span]
        if region < 0:
            continue
        y = starts[span] // width
        rows[region, y] += starts[span + 1] - starts[span]
        columns[region, starts[span] - y * width] += 1
        columns[region, starts[span + 1] - y * width] -= 1
    for region in range(count):
        for x in range(1, width):
            columns[region, x] += columns[region, x - 1]
    return rows, columns[:, :width]
