"""What can be said about maps without any label: are they balanced, stable, coherent?"""

import math
from collections.abc import Sequence
from itertools import combinations

import numpy as np
from jaxtyping import Integer

from nave.metrics.contingency import adjusted_rand, contingency

NOTHING_IGNORED = -1


def cluster_balance(labels: Integer[np.ndarray, "H W"], k: int) -> float:
    """Entropy of the clusters' areas over that of `k` equal areas (Pielou's evenness, 1966), 0 to 1.

    1: all `k` clusters equally large; 0: one cluster has every pixel. With k = 1 any map is balanced.
    """
    if int(labels.max()) >= k:
        raise ValueError(f"labels run to {int(labels.max())}, which k={k} clusters do not reach")
    areas = np.bincount(labels.ravel())
    shares = areas[areas > 0] / labels.size
    return abs(float((shares * np.log(shares)).sum())) / math.log(k) if k > 1 else 1.0


def stability(maps: Sequence[Integer[np.ndarray, "H W"]]) -> float:
    """Mean adjusted Rand index over all pairs of one image's maps under different seeds; 1: always the same.

    Von Luxburg 2010, "Clustering stability: an overview", with the ARI as similarity. Raises ValueError for
    fewer than two maps.
    """
    if len(maps) < 2:
        raise ValueError(f"stability compares maps under different seeds: give at least two, not {len(maps)}")
    tables = (contingency(one, other, ignore=NOTHING_IGNORED).table for one, other in combinations(maps, 2))
    return float(np.mean([adjusted_rand(table) for table in tables]))


def spatial_coherence(labels: Integer[np.ndarray, "H W"]) -> float:
    """Share of 4-neighbours with the same label, corrected for chance: 1 all, 0 as among shuffled pixels.

    The join-count statistic of same-colour joins (Moran 1948; Cliff and Ord 1981, "Spatial Processes")
    against its expectation under random permutation of the pixels, (J - E) / (1 - E) as in Cohen's kappa;
    negative when neighbours avoid each other. 1 for a map of one cluster, or of one pixel.
    """
    down, across = labels[1:] == labels[:-1], labels[:, 1:] == labels[:, :-1]
    areas = np.bincount(labels.ravel()).astype(np.int64)
    expected: float = int((areas * (areas - 1)).sum()) / max(labels.size * (labels.size - 1), 1)
    joins: int = down.size + across.size
    if joins == 0 or expected == 1:
        return 1.0
    same = (int(down.sum()) + int(across.sum())) / joins
    return (same - expected) / (1 - expected)
