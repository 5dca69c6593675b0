from itertools import combinations

import numpy as np
import pytest
from scipy.stats import entropy
from sklearn.metrics import adjusted_rand_score

from nave.metrics.unlabelled import cluster_balance, fragmentation, spatial_coherence, stability


@pytest.mark.parametrize("seed", range(10))
def test_balance_equals_scipys_entropy(seed):
    labels = np.random.default_rng(seed).binomial(6, 0.4, (9, 11))
    areas = np.bincount(labels.ravel(), minlength=7)
    assert cluster_balance(labels, 7) == pytest.approx(entropy(areas) / np.log(7))


def test_balance_of_equal_and_of_single_clusters():
    assert cluster_balance(np.arange(12).reshape(3, 4) % 4, 4) == pytest.approx(1)
    assert cluster_balance(np.zeros((3, 4), np.int64), 4) == 0
    assert cluster_balance(np.zeros((3, 4), np.int64), 1) == 1


def test_balance_refuses_more_clusters_than_k():
    with pytest.raises(ValueError, match="labels run to 5, which k=5 clusters do not reach"):
        cluster_balance(np.array([[0, 5]]), 5)


def test_stability_equals_scikit_learn_over_pairs():
    generator = np.random.default_rng(0)
    maps = [generator.integers(0, 3, (8, 8)) // generator.integers(1, 3) for _ in range(4)]
    pairs = [adjusted_rand_score(a.ravel(), b.ravel()) for a, b in combinations(maps, 2)]
    assert stability(maps) == pytest.approx(np.mean(pairs))


def test_renamed_clusters_are_the_same_map():
    labels = np.random.default_rng(0).integers(0, 4, (8, 8))
    assert stability([labels, 3 - labels, (labels + 1) % 4]) == 1


@pytest.mark.parametrize("count", [0, 1])
def test_stability_needs_two_maps(count):
    with pytest.raises(ValueError, match=f"at least two, not {count}"):
        stability([np.zeros((2, 2), np.int64)] * count)


def literal_coherence(labels):
    """Joins counted one by one; chance is the share of equal labels over all pairs of different pixels."""
    height, width = labels.shape
    joins = [(labels[y, x], labels[y, x + 1]) for y in range(height) for x in range(width - 1)]
    joins += [(labels[y, x], labels[y + 1, x]) for y in range(height - 1) for x in range(width)]
    chance = np.mean([a == b for a, b in combinations(labels.ravel().tolist(), 2)])
    return (np.mean([a == b for a, b in joins]) - chance) / (1 - chance)


@pytest.mark.parametrize("seed", range(20))
def test_coherence_equals_counting_joins(seed):
    labels = np.random.default_rng(seed).integers(0, 3, (5, 7))
    assert spatial_coherence(labels) == pytest.approx(literal_coherence(labels))


def test_coherence_of_halves_noise_and_a_chessboard():
    halves = np.repeat([0, 1], 50)[:, None] * np.ones((1, 100), np.int64)
    noise = np.random.default_rng(0).integers(0, 2, (100, 100))
    chessboard = np.indices((100, 100)).sum(axis=0) % 2
    assert spatial_coherence(halves) > 0.98
    assert spatial_coherence(noise) == pytest.approx(0, abs=0.02)
    assert spatial_coherence(chessboard) == pytest.approx(-1, abs=0.001)


@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (4, 4)])
def test_a_map_of_one_cluster_is_coherent(shape):
    assert spatial_coherence(np.zeros(shape, np.int64)) == 1


def test_whole_clusters_are_not_fragmented():
    assert fragmentation(np.repeat(np.arange(4, dtype=np.uint8), 6).reshape(4, 6)) == 0


def test_specks_count():
    labels = np.zeros((10, 10), np.uint8)
    labels[1, 1] = labels[5, 5] = labels[8, 2] = 1
    assert fragmentation(labels) == pytest.approx(2 / 100)


def test_diagonal_neighbours_are_apart():
    assert fragmentation(np.eye(2, dtype=np.uint8)) == pytest.approx(0.5)
