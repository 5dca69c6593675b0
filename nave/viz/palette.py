"""Colours of clusters and plots, and alignment of cluster ids across maps of one image.

Maps are aligned before they are coloured, so that a concept keeps its colour across K, models and trainings.
"""

from collections.abc import Hashable, Mapping, Sequence
from itertools import count, pairwise

import numpy as np
from jaxtyping import Float64, UInt8
from scipy.optimize import linear_sum_assignment

from nave.metrics.segmentation import COUNTERPART

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


def hex_colours(count: int) -> list[str]:
    """The first colours for a page, such as ``#56b4e9``."""
    return ["#{:02x}{:02x}{:02x}".format(*colour) for colour in colours(count).tolist()]


def align(
    maps: Sequence[UInt8[np.ndarray, "_ _"]], encoders: Sequence[Hashable] | None = None
) -> tuple[PaletteIndex, ...]:
    """Palette indices of several maps of one image: clusters of different maps that overlap most share an index.

    The maps of one encoder form a chain: in order of their number of clusters, each is matched to the one before, so
    that clusters whose intersection over union exceeds a half keep their index from one K to the next. Then every chain
    as a whole is matched to the one with the most indices (the first of equals).

    The map with the fewest clusters keeps its own ids, so that the first colours of the palette are always in use. An
    id without a pixel gets the index after all others.

    Args:
        encoders: What made each map; maps of equal keys form a chain. None: one encoder made them all.

    Raises:
        ValueError: If the maps differ in size.
    """
    if len(maps) < 2:
        return tuple(_in_order(labels) for labels in maps)
    ranks = [_by_size(labels) for labels in maps]  # ties are broken alike whatever the ids
    ranked = [rank[labels] for rank, labels in zip(ranks, maps, strict=True)]
    keys = list(encoders or [None] * len(maps))
    chains = {key: _chained({n: ranked[n] for n, own in enumerate(keys) if own == key}) for key in dict.fromkeys(keys)}
    reference = max(chains.values(), key=_count)
    shared = {n: indices for chain in chains.values() for n, indices in _matched(chain, reference, ranked).items()}
    matched = [dict(enumerate(shared[n])) for n in range(len(maps))]
    of_ids = [[indices.get(rank) for rank in own.tolist()] for indices, own in zip(matched, ranks, strict=True)]
    used = dict.fromkeys(index for ids in sorted(of_ids, key=len) for index in ids if index is not None)
    renumbered = {index: number for number, index in enumerate(used)}
    absent = len(used)  # of ids that no pixel has
    return tuple(tuple(absent if index is None else renumbered[index] for index in ids) for ids in of_ids)


Chain = dict[int, PaletteIndex]  # by the position of the map


def _in_order(labels: UInt8[np.ndarray, "_ _"]) -> PaletteIndex:
    """The indices of the only map: its ids in their order, without gaps."""
    sparse, ids = labels[::8, ::8], range(int(labels.max()) + 1)  # a few pixels show most clusters
    present = np.array([(sparse == cluster).any() or (labels == cluster).any() for cluster in ids])
    return tuple(np.where(present, np.cumsum(present) - 1, present.sum()).tolist())


def _by_size(labels: UInt8[np.ndarray, "_ _"]) -> UInt8[np.ndarray, " K"]:
    """The rank of every cluster id, the largest cluster first; of equals, the one of the first pixel."""
    pixels = labels.ravel()
    areas = np.bincount(pixels)
    first = np.array([(pixels == cluster).argmax() for cluster in range(len(areas))])
    rank = np.empty(len(areas), np.uint8)
    rank[np.lexsort((first, -areas))] = np.arange(len(areas))
    return rank


def _chained(maps: Mapping[int, UInt8[np.ndarray, "_ _"]]) -> Chain:
    """The indices of an encoder's maps: those of the map before where clusters match, new ones elsewhere."""
    order = sorted(maps, key=lambda n: int(maps[n].max()))
    chain: Chain = {order[0]: tuple(range(int(maps[order[0]].max()) + 1))}
    for before, n in pairwise(order):
        ids = by_overlap(maps[n], maps[before])
        known, fresh = chain[before], count(_count(chain))
        chain[n] = tuple(known[match] if match < len(known) else next(fresh) for match in ids)
    return chain


def _count(chain: Chain) -> int:
    return 1 + max(index for indices in chain.values() for index in indices)


def _matched(chain: Chain, reference: Chain, maps: Sequence[UInt8[np.ndarray, "_ _"]]) -> Chain:
    """The chain in the indices of the reference, so that most pixels agree over all pairs of maps.

    Regions without a COUNTERPART get the numbers after those of the reference: what is new has a colour of its own.
    """
    if chain is reference:
        return chain
    own, others = _regions(chain, maps), _regions(reference, maps)
    tie = 1 / (2 * len(own))  # less than a pixel in sum: equal regions are told apart by their index
    shared = own @ others.T
    overlap = shared / ((own**2).sum(1)[:, None] + (others**2).sum(1) - shared)  # of two maps, intersection over union
    fresh = count(len(others))
    matches = enumerate(assigned(shared + tie * np.eye(*shared.shape)))
    indices = [m if m < len(others) and overlap[n, m] >= COUNTERPART else next(fresh) for n, m in matches]
    return {n: tuple(indices[index] for index in ids) for n, ids in chain.items()}


def _regions(chain: Chain, maps: Sequence[UInt8[np.ndarray, "_ _"]]) -> Float64[np.ndarray, "_ _"]:
    """How many maps of a chain have each index at each pixel."""
    counts = np.zeros((_count(chain), maps[next(iter(chain))].size))
    for n, indices in chain.items():
        labels = maps[n].ravel()
        for cluster, index in enumerate(indices):
            counts[index] += labels == cluster
    return counts


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
