"""Measures of maps that need no labels: balance, stability, coherence, fragmentation."""

import math
from collections.abc import Sequence
from itertools import combinations

import numpy as np
from jaxtyping import Int, Integer, UInt8
from scipy.ndimage import label

from nave.metrics.segmentation import adjusted_rand, contingency

NOTHING_IGNORED = -1
Areas = Int[np.ndarray, " n"]  # pixels of every cluster


def cluster_balance(labels: Integer[np.ndarray, "H W"], k: int, areas: Areas | None = None) -> float:
    """Computes Pielou's evenness (1966): the entropy of the clusters' areas over that of ``k`` equal areas.

    Args:
        areas: of the clusters, if :func:`cluster_areas` has counted them already.

    Returns:
        From 0 (one cluster has every pixel) to 1 (all are equally large, or ``k`` is 1).

    Raises:
        ValueError: if a label is ``k`` or more.
    """
    areas = cluster_areas(labels) if areas is None else areas
    if len(areas) > k:
        raise ValueError(f"labels run to {len(areas) - 1}, which k={k} clusters do not reach")
    shares = areas[areas > 0] / labels.size
    return abs(float((shares * np.log(shares)).sum())) / math.log(k) if k > 1 else 1.0


def stability(maps: Sequence[Integer[np.ndarray, "H W"]]) -> float:
    """Computes the mean adjusted Rand index over all pairs of one image's maps under different seeds.

    Von Luxburg 2010, "Clustering stability: an overview", with the ARI as similarity; 1 for equal maps.

    Raises:
        ValueError: for fewer than two maps.
    """
    if len(maps) < 2:
        raise ValueError(f"stability compares maps under different seeds: give at least two, not {len(maps)}")
    tables = (contingency(a, b, ignore=NOTHING_IGNORED).table for a, b in combinations(maps, 2))
    return float(np.mean([adjusted_rand(table) for table in tables]))


def spatial_coherence(labels: Integer[np.ndarray, "H W"], areas: Areas | None = None) -> float:
    """Computes the fraction of 4-neighbours with the same label, corrected for chance.

    The join-count statistic of same-colour joins J (Moran 1948; Cliff and Ord 1981, "Spatial Processes") and its
    expectation E under random permutation of the pixels give (J - E) / (1 - E), as in Cohen's kappa.

    Args:
        areas: as of :func:`cluster_balance`.

    Returns:
        1 if all neighbours are equal, 0 as for shuffled pixels, negative if neighbours tend to differ; 1 for a map of
        one cluster or one pixel.
    """
    down, across = labels[1:] == labels[:-1], labels[:, 1:] == labels[:, :-1]
    areas = cluster_areas(labels) if areas is None else areas
    expected: float = int((areas * (areas - 1)).sum()) / max(labels.size * (labels.size - 1), 1)
    joins: int = down.size + across.size
    if joins == 0 or expected == 1:
        return 1.0
    same = (np.count_nonzero(down) + np.count_nonzero(across)) / joins
    return (same - expected) / (1 - expected)


def cluster_areas(labels: Integer[np.ndarray, "H W"]) -> Areas:
    """Counts the pixels of every cluster; for a few of them comparisons are faster than a histogram."""
    areas = [np.count_nonzero(labels == cluster) for cluster in range(int(labels.max()))]
    return np.array([*areas, labels.size - sum(areas)])


def fragmentation(labels: UInt8[np.ndarray, "H W"]) -> float:
    """Computes the fraction of pixels outside the largest 4-connected component of their cluster."""
    inside = sum(_largest_component(labels == cluster) for cluster in np.unique(labels))
    return 1 - inside / labels.size


def _largest_component(cluster: np.ndarray) -> int:
    components, _ = label(cluster)
    return int(np.bincount(components.ravel())[1:].max())
