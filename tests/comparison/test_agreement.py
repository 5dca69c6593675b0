import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import adjusted_rand_score

from nave.comparison.agreement import agreement


def random_map(seed, k, shape=(6, 7)):
    return np.random.default_rng(seed).integers(0, k, shape, dtype=np.uint8)


@settings(deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 6), st.integers(1, 6))
def test_ari_is_scikit_learns(seed, k, others):
    ours, theirs = random_map(seed, k), random_map(seed + 1, others)
    assert agreement(ours, theirs)["ari"] == pytest.approx(adjusted_rand_score(ours.ravel(), theirs.ravel()))


def brute_force(ours, theirs):
    """The best mean overlap over all ways to pair clusters, one by one."""
    few, many = sorted((np.unique(ours).tolist(), np.unique(theirs).tolist()), key=len)
    first, second = (ours, theirs) if len(np.unique(ours)) <= len(np.unique(theirs)) else (theirs, ours)

    def iou(a, b):
        return ((first == a) & (second == b)).sum() / ((first == a) | (second == b)).sum()

    best = max(sum(map(iou, few, order)) for order in itertools.permutations(many, len(few)))
    return best / len(many)


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 10_000), st.integers(1, 4), st.integers(1, 4))
def test_matched_iou_is_the_best_of_all_pairings_and_symmetric(seed, k, others):
    ours, theirs = random_map(seed, k), random_map(seed + 1, others)
    found = agreement(ours, theirs)["matched_iou"]
    assert found == pytest.approx(brute_force(ours, theirs))
    assert found == pytest.approx(agreement(theirs, ours)["matched_iou"])


def test_names_do_not_matter_and_the_last_id_counts():
    ours = random_map(0, 5)
    renamed = np.array([255, 3, 2, 9, 0], np.uint8)[ours]
    assert agreement(ours, renamed) == {"ari": 1.0, "matched_iou": 1.0}


def test_different_sizes_are_refused():
    with pytest.raises(ValueError, match=r"\(6, 7\), the truth is \(7, 6\)"):
        agreement(random_map(0, 2), random_map(0, 2, (7, 6)))
