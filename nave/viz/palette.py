"""Colours of clusters and plots, and alignment of cluster ids across maps of one image.

Maps are aligned before they are coloured, so that a concept keeps its colour across K, models and trainings.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float64, UInt8
from scipy.optimize import linear_sum_assignment

# Okabe and Ito (2008), distinguishable by colour-blind readers; sky blue first, since the largest cluster is usually
# background. The last three extend the palette to ten clusters, the most that the studies use.
PALETTE = (
    (86, 180, 233),
    (213, 94, 0),
    (0, 158, 115),
    (240, 228, 66),
    (204, 121, 167),
    (0, 114, 178),
    (230, 159, 0),
    (40, 40, 40),
    (225, 225, 225),
    (102, 17, 0),
)
# colours of Okabe and Ito that stand out on white and on black; markers and dashes distinguish the lines as well
LINES = ("#3b8fd6", "#d55e00", "#009e73", "#cc79a7", "#b8860b", "#8a8a8a")
MARKERS = "osD^vPX"
PaletteIndex = tuple[int, ...]  # position: cluster id; value: index of its colour


def colours(count: int) -> UInt8[np.ndarray, "count 3"]:
    """RGB colours of the first ``count`` palette indices; beyond its end the palette repeats, ever darker."""
    rounds = np.arange(count) // len(PALETTE)
    base = np.array(PALETTE)[np.arange(count) % len(PALETTE)]
    return np.asarray(base * (0.7 ** rounds[:, None]), np.uint8)


def align(maps: Sequence[UInt8[np.ndarray, "_ _"]]) -> tuple[PaletteIndex, ...]:
    """Palette indices of several maps of one image: clusters of different maps that overlap most share an index.

    All maps are matched to the one with the most clusters (the first of equals). The map with the fewest clusters
    keeps its own ids, so that the first colours of the palette are always in use.

    Raises:
        ValueError: If the maps differ in size.
    """
    if len(maps) < 2:
        return tuple(tuple(range(int(labels.max()) + 1)) for labels in maps)
    reference = max(maps, key=lambda labels: int(labels.max()))
    matched = [by_overlap(labels, reference) for labels in maps]
    used = dict.fromkeys(index for indices in sorted(matched, key=len) for index in indices)
    renumbered = {index: number for number, index in enumerate(used)}
    return tuple(tuple(renumbered[index] for index in indices) for indices in matched)


def by_overlap(labels: UInt8[np.ndarray, "H W"], reference: UInt8[np.ndarray, "_ _"]) -> PaletteIndex:
    """Assigns cluster ids to those of the reference, one to one, so that most pixels agree.

    Raises:
        ValueError: If the maps differ in size.
    """
    if labels.shape != reference.shape:
        raise ValueError(f"maps of sizes {labels.shape} and {reference.shape} cannot be aligned: resize one")
    count, others = int(labels.max()) + 1, int(reference.max()) + 1
    pairs = labels.ravel().astype(np.int64) * others + reference.ravel()
    return assigned(np.bincount(pairs, minlength=count * others).reshape(count, others).astype(np.float64))


def assigned(gain: Float64[np.ndarray, "K R"]) -> PaletteIndex:
    """The column of each row under the best one-to-one assignment; unmatched rows get the numbers after R."""
    rows, columns = linear_sum_assignment(gain, maximize=True)
    assignment = dict(zip(rows.tolist(), columns.tolist(), strict=True))
    for row in range(len(gain)):
        assignment.setdefault(row, max(gain.shape[1] - 1, *assignment.values()) + 1)
    return tuple(assignment[row] for row in range(len(gain)))
