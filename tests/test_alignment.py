import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nave.alignment import align, assigned, by_overlap


def maps(rng, count, k, shape=(12, 15)):
    found = rng.integers(0, k, (count, *shape), dtype=np.uint8)
    found[:, 0, :k] = np.arange(k)  # every id occurs
    return list(found)


def test_a_renamed_map_gets_its_names_back():
    rng = np.random.default_rng(0)
    (labels,) = maps(rng, 1, 6)
    names = rng.permutation(6).astype(np.uint8)
    assert by_overlap(names[labels], labels) == tuple(np.argsort(names))


@settings(deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 4), st.integers(1, 4))
def test_most_pixels_agree_among_all_assignments(seed, k, others):
    rng = np.random.default_rng(seed)
    (labels,), (reference,) = maps(rng, 1, k, (5, 6)), maps(rng, 1, others, (5, 6))
    slots = by_overlap(labels, reference)

    def agreement(names):
        return int((np.array(names)[labels] == reference).sum())

    names = range(max(k, others) + (k if k > others else 0))
    assert len(set(slots)) == k
    assert agreement(slots) == max(agreement(one) for one in itertools.permutations(names, k))


def test_parts_keep_the_colour_of_the_whole_over_k():
    whole = np.zeros((10, 10), np.uint8)
    whole[:, 6:] = 1
    parts = whole * 2
    parts[:2, :6] = 1  # a corner of cluster 0 becomes a cluster of its own
    first, second = align([whole, parts])
    assert first == (0, 1)
    assert second == (0, 2, 1)


@settings(deadline=None)
@given(st.integers(0, 10_000), st.lists(st.integers(1, 7), min_size=1, max_size=5))
def test_slots_are_distinct_and_the_first_colours_are_used(seed, ks):
    rng = np.random.default_rng(seed)
    found = align([maps(rng, 1, k)[0] for k in ks])
    assert [len(set(slots)) for slots in found] == ks
    assert {slot for slots in found for slot in slots} == set(range(max(ks)))
    assert found[ks.index(min(ks))] == tuple(range(min(ks)))


def test_equal_maps_have_equal_slots_and_no_maps_none():
    (labels,) = maps(np.random.default_rng(1), 1, 5)
    assert align([labels, labels.copy()]) == (tuple(range(5)),) * 2
    assert align([]) == ()


def test_rows_left_over_get_new_numbers():
    assert assigned(np.array([[1.0], [3.0], [2.0]])) == (1, 0, 2)


def test_different_sizes_are_refused():
    with pytest.raises(ValueError, match=r"\(3, 4\) and \(4, 3\) cannot be aligned"):
        by_overlap(np.zeros((3, 4), np.uint8), np.zeros((4, 3), np.uint8))
