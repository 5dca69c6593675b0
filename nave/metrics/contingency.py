"""Two partitions of the same pixels: their contingency table, ARI and NMI."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, Integer


@dataclass(frozen=True, eq=False)
class Contingency:
    """How many valid pixels lie in each cluster and each region of the truth at once."""

    table: Int[np.ndarray, "K R"]
    regions: Int[np.ndarray, " R"]  # the regions' ids in the truth, ascending; ignored ones are absent


def contingency(
    labels: Integer[np.ndarray, "..."], truth: Integer[np.ndarray, "..."], *, ignore: int = 255
) -> Contingency:
    """Count pixels by cluster and region, leaving out those whose truth is `ignore`.

    Raises ValueError when the maps differ in shape or hold negative ids.
    """
    if labels.shape != truth.shape:
        raise ValueError(f"labels are {labels.shape}, the truth is {truth.shape}: resize one map to the other")
    valid = truth != ignore
    clusters, ids = labels[valid].astype(np.int64), truth[valid].astype(np.int64)
    if clusters.size and min(clusters.min(), ids.min()) < 0:
        raise ValueError(f"negative ids: labels start at {clusters.min()}, the truth at {ids.min()}")
    present = np.bincount(ids) > 0
    columns = (np.cumsum(present) - 1)[ids]
    size = (int(clusters.max(initial=-1)) + 1, int(present.sum()))
    table = np.bincount(clusters * size[1] + columns, minlength=size[0] * size[1]).reshape(size)
    return Contingency(table, np.flatnonzero(present))


def adjusted_rand(table: Int[np.ndarray, "K R"]) -> float:
    """Adjusted Rand index (Hubert and Arabie 1985): 1 for equal partitions, 0 on average for random ones."""
    both, ours, theirs, pairs = (
        _pairs(counts) for counts in (table.ravel(), table.sum(axis=1), table.sum(axis=0), table.sum()[None])
    )
    possible = (ours + theirs) * pairs - 2 * ours * theirs
    return 2 * (both * pairs - ours * theirs) / possible if possible else 1.0


def normalised_mutual_information(table: Int[np.ndarray, "K R"]) -> float:
    """Mutual information over the mean entropy of the two partitions; 1 when each is a single region."""
    ours, theirs = _entropy(table.sum(axis=1)), _entropy(table.sum(axis=0))
    if ours == theirs == 0:
        return 1.0
    return max(0.0, 2 * (ours + theirs - _entropy(table.ravel())) / (ours + theirs))


def _pairs(counts: Int[np.ndarray, " n"]) -> int:
    # Python integers: a product of two pair counts of one photograph overflows int64
    return sum(count * (count - 1) // 2 for count in counts.tolist())


def _entropy(counts: Int[np.ndarray, " n"]) -> float:
    shares: Float[np.ndarray, " n"] = counts[counts > 0] / max(int(counts.sum()), 1)
    return float(-(shares * np.log(shares)).sum())
