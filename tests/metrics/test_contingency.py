"""Against scikit-learn, on the same pixels."""

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score
from sklearn.metrics.cluster import contingency_matrix

from nave.metrics.contingency import adjusted_rand, contingency, normalised_mutual_information


def check(seed):
    generator = np.random.default_rng(seed)
    shape = generator.integers(1, 7, 2)
    truth = generator.choice([0, 1, 7, 255], shape)
    labels = np.where(generator.random(shape) < generator.random(), truth % 5, generator.integers(0, 5, shape))
    counts = contingency(labels, truth)
    a, b = labels[truth != 255], truth[truth != 255]
    assert counts.regions.tolist() == np.unique(b).tolist()
    if a.size:
        np.testing.assert_array_equal(counts.table[counts.table.any(axis=1)], contingency_matrix(a, b))
        assert adjusted_rand(counts.table) == pytest.approx(adjusted_rand_score(b, a), abs=1e-12)
        expected = normalized_mutual_info_score(b, a)
        assert normalised_mutual_information(counts.table) == pytest.approx(expected, abs=1e-9)


@pytest.mark.slow
def test_equals_scikit_learn_on_a_thousand_maps():
    for seed in range(1000):
        check(seed)


@pytest.mark.parametrize("seed", range(1000, 1050))
def test_equals_scikit_learn_on_valid_pixels(seed):
    check(seed)


@pytest.mark.parametrize("maps", [(1, 1), (1, 3), (3, 1)])
def test_single_regions_agree_with_scikit_learn(maps):
    a, b = (np.arange(12).reshape(3, 4) % count for count in maps)
    table = contingency(a, b).table
    assert adjusted_rand(table) == adjusted_rand_score(b.ravel(), a.ravel())
    assert normalised_mutual_information(table) == normalized_mutual_info_score(b.ravel(), a.ravel())


def test_a_large_photograph_does_not_overflow():
    table = np.full((2, 2), 6_000_000)  # independent halves of 24 megapixels
    assert adjusted_rand(table) == pytest.approx(0, abs=1e-6)
    assert adjusted_rand(np.diag(table.sum(axis=1))) == 1


def test_maps_of_two_sizes_are_refused():
    with pytest.raises(ValueError, match=r"labels are \(2, 3\), the truth is \(3, 2\)"):
        contingency(np.zeros((2, 3), np.int64), np.zeros((3, 2), np.int64))


def test_negative_ids_are_refused():
    with pytest.raises(ValueError, match="negative ids: labels start at -1"):
        contingency(np.full((2, 2), -1), np.zeros((2, 2), np.int64))
