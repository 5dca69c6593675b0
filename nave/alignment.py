"""Cluster ids that mean the same across maps of one image, so that one concept keeps one colour (METHOD 1.4)."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float64, UInt8
from scipy.optimize import linear_sum_assignment

Slots = tuple[int, ...]  # a map's cluster id -> the id of the same concept in the reference


def align(maps: Sequence[UInt8[np.ndarray, "_ _"]]) -> tuple[Slots, ...]:
    """Slots of every map: clusters with the same slot, in whatever map, are one concept.

    The reference is the map with the most clusters, the first of equals. The map with the fewest clusters keeps its
    own ids, so that the first colours of a palette are always in use.

    Raises:
        ValueError: if the maps differ in size.
    """
    if not maps:
        return ()
    reference = max(maps, key=lambda labels: int(labels.max()))
    slots = [by_overlap(labels, reference) for labels in maps]
    used = dict.fromkeys(slot for row in sorted(slots, key=len) for slot in row)
    renamed = {slot: number for number, slot in enumerate(used)}
    return tuple(tuple(renamed[slot] for slot in row) for row in slots)


def by_overlap(labels: UInt8[np.ndarray, "H W"], reference: UInt8[np.ndarray, "_ _"]) -> Slots:
    """The one-to-one assignment of ids under which most pixels keep their id.

    Raises:
        ValueError: if the maps differ in size.
    """
    if labels.shape != reference.shape:
        raise ValueError(f"maps of sizes {labels.shape} and {reference.shape} cannot be aligned: resize one")
    count, others = int(labels.max()) + 1, int(reference.max()) + 1
    pairs = labels.ravel().astype(np.int64) * others + reference.ravel()
    return assigned(np.bincount(pairs, minlength=count * others).reshape(count, others).astype(np.float64))


def assigned(gain: Float64[np.ndarray, "K R"]) -> Slots:
    """The column of each row under the best one-to-one assignment; rows left over get the numbers after R."""
    rows, columns = linear_sum_assignment(gain, maximize=True)
    slots = dict(zip(rows.tolist(), columns.tolist(), strict=True))
    for row in range(len(gain)):
        slots.setdefault(row, max(gain.shape[1] - 1, *slots.values()) + 1)
    return tuple(slots[row] for row in range(len(gain)))
