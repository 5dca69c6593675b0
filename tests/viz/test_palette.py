import itertools

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from skimage.color import deltaE_ciede2000, rgb2lab

from nave.viz.palette import PALETTE, align, assigned, by_overlap, colours

# Machado et al. (2009), severity 1, on linear RGB
BLINDNESS = {
    "none": np.eye(3),
    "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
    "tritan": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]],
}


@pytest.mark.parametrize("matrix", BLINDNESS.values(), ids=BLINDNESS.keys())
def test_ten_colours_differ_for_colour_blind_readers(matrix):
    linear = (np.array(PALETTE) / 255) ** 2.2
    seen = rgb2lab(np.clip(linear @ np.array(matrix).T, 0, 1) ** (1 / 2.2))
    assert min(deltaE_ciede2000(a, b) for a, b in itertools.combinations(seen, 2)) > 10


def maps(rng, count, k, shape=(12, 15)):
    labels = rng.integers(0, k, (count, *shape), dtype=np.uint8)
    labels[:, 0, :k] = np.arange(k)  # every id occurs
    return list(labels)


def test_permuted_ids_are_recovered():
    rng = np.random.default_rng(0)
    (labels,) = maps(rng, 1, 6)
    names = rng.permutation(6).astype(np.uint8)
    assert by_overlap(names[labels], labels) == tuple(np.argsort(names))


@settings(deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 4), st.integers(1, 4))
def test_most_pixels_agree_among_all_assignments(seed, k, others):
    rng = np.random.default_rng(seed)
    (labels,), (reference,) = maps(rng, 1, k, (5, 6)), maps(rng, 1, others, (5, 6))
    palette_index = by_overlap(labels, reference)

    def agreement(names):
        return int((np.array(names)[labels] == reference).sum())

    names = range(max(k, others) + (k if k > others else 0))
    assert len(set(palette_index)) == k
    assert agreement(palette_index) == max(agreement(permuted) for permuted in itertools.permutations(names, k))


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
def test_palette_indices_are_distinct_and_the_first_colours_are_used(seed, ks):
    rng = np.random.default_rng(seed)
    aligned = align([maps(rng, 1, k)[0] for k in ks])
    assert [len(set(palette_index)) for palette_index in aligned] == ks
    assert {index for palette_index in aligned for index in palette_index} == set(range(max(ks)))
    assert aligned[ks.index(min(ks))] == tuple(range(min(ks)))


def test_equal_maps_have_equal_palette_indices_and_no_maps_none():
    (labels,) = maps(np.random.default_rng(1), 1, 5)
    assert align([labels, labels.copy()]) == (tuple(range(5)),) * 2
    assert align([]) == ()


def blocks(rng, k, shape=(12, 15)):
    """Cells of the nearest of ``k`` random points: regions that change little from one K to the next."""
    points = rng.uniform(0, shape, (20, 2))[:k]
    pixels = np.stack(np.indices(shape), -1)[:, :, None]
    return ((pixels - points) ** 2).sum(-1).argmin(-1).astype(np.uint8)


def shuffled(rng, labels):
    return rng.permutation(int(labels.max()) + 1).astype(np.uint8)[labels]


def coloured(labels, palette_index):
    return np.array(palette_index)[labels]


@settings(deadline=None)
@given(st.integers(0, 10_000), st.lists(st.integers(1, 8), min_size=1, max_size=4), st.booleans())
def test_permuted_maps_of_another_encoder_have_the_same_colours(seed, ks, alike):
    rng = np.random.default_rng(seed)
    made = [blocks(np.random.default_rng(seed), k) if alike else maps(rng, 1, k)[0] for k in ks]
    permuted = [shuffled(rng, labels) for labels in made]
    aligned = align([*made, *permuted], ["a"] * len(ks) + ["b"] * len(ks))
    for labels, other, ours, theirs in zip(made, permuted, aligned, aligned[len(ks) :], strict=False):
        np.testing.assert_array_equal(coloured(labels, ours), coloured(other, theirs))


@settings(deadline=None)
@given(st.integers(0, 10_000), st.sets(st.integers(1, 8), min_size=2), st.booleans())
def test_matched_regions_keep_their_colour_over_k(seed, ks, several):
    """Whatever else is aligned: the maps of the other encoder do not break the chain."""
    rng = np.random.default_rng(seed)
    chain = [shuffled(rng, blocks(np.random.default_rng(seed), k)) for k in sorted(ks)]
    others = [maps(rng, 1, k)[0] for k in sorted(ks)] if several else []
    aligned = align([*chain, *others], ["a"] * len(chain) + ["b"] * len(others))
    for (first, ours), (second, theirs) in itertools.pairwise(zip(chain, aligned, strict=False)):
        assert_regions_keep_colour(first, ours, second, theirs)


def assert_regions_keep_colour(first, ours, second, theirs):
    for a, b in itertools.product(range(len(ours)), range(len(theirs))):
        both, either = ((first == a) & (second == b)).sum(), ((first == a) | (second == b)).sum()
        assert 2 * both <= either or ours[a] == theirs[b]


@settings(deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 8))
@example(249, 3)  # an id between the others has no pixel
def test_matched_regions_of_two_encoders_share_their_colour(seed, k):
    rng = np.random.default_rng(seed)
    ours = shuffled(rng, blocks(np.random.default_rng(seed), k))
    theirs = shuffled(rng, np.roll(ours, 1, 0))
    first, second = align([ours, theirs], ["a", "b"])
    assert_regions_keep_colour(ours, first, theirs, second)


def test_three_k_of_two_encoders_keep_one_sky():
    """As on ``china`` of scikit-learn: the other encoder has more clusters, which cut across the sky."""
    sky = np.zeros((30, 40), np.uint8)
    sky[12:] = 1
    more = sky.copy()
    more[20:, 20:] = 2
    most = more.copy()
    most[12:16] = 3
    other = (np.indices(sky.shape)[1] // 5).astype(np.uint8)  # columns
    names = {k: np.random.default_rng(k).permutation(k).astype(np.uint8) for k in (2, 3, 4)}
    chain = [names[k][labels] for k, labels in ((2, sky), (3, more), (4, most))]
    aligned = align([other, *chain], ["columns", *["sky"] * 3])
    assert len({int(coloured(labels, index)[0, 0]) for labels, index in zip(chain, aligned[1:], strict=True)}) == 1


def test_unmatched_rows_get_new_numbers():
    assert assigned(np.array([[1.0], [3.0], [2.0]])) == (1, 0, 2)


def test_different_sizes_are_refused():
    with pytest.raises(ValueError, match=r"\(3, 4\) and \(4, 3\) cannot be aligned"):
        by_overlap(np.zeros((3, 4), np.uint8), np.zeros((4, 3), np.uint8))


def test_colours_past_the_palette_are_darker():
    more = colours(2 * len(PALETTE))
    assert (more[len(PALETTE) :] <= more[: len(PALETTE)]).all()
    assert len({tuple(one) for one in more.tolist()}) == len(more)
