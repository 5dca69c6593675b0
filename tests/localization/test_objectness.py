"""The one box against a literal search: every cluster, every two that touch, scipy's labels, region by region."""

from itertools import combinations

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from nave.localization.objectness import LOWER_SIDE, Objectness, border_shares, one_box, united
from nave.localization.regions import Regions
from tests.helpers.parts import objectness

maps = hnp.arrays(np.uint8, hnp.array_shapes(min_dims=2, max_dims=2, max_side=9), elements=st.integers(0, 3))


def chosen(labels, score, min_area):
    return one_box(labels, border_shares(labels, int(labels.max()) + 1), score, min_area)


def touch(labels, a, b):
    grown = ndimage.binary_dilation(labels == a)  # 4-connected
    return bool((grown & (labels == b)).any())


def literal(labels, sigma, border_penalty, min_area):
    """Boxes and scores of all candidates, straight from the definition."""
    y, x = ((np.arange(n) + 0.5) / n - 0.5 for n in labels.shape)
    prior = np.exp(-(y[:, None] ** 2 + x**2) / (2 * sigma**2))
    prior /= prior.sum()
    clusters = np.unique(labels)
    unions = [(a,) for a in clusters] + [(a, b) for a, b in combinations(clusters, 2) if touch(labels, a, b)]
    candidates = []
    for union in unions:
        member = np.isin(labels, union)
        sides = member[0], member[:, 0], member[:, -1], LOWER_SIDE * member[-1]
        border = sum(side.mean() for side in sides) / (3 + LOWER_SIDE)
        regions, _ = ndimage.label(member)
        for i, (ys, xs) in enumerate(ndimage.find_objects(regions), start=1):
            region = regions == i
            if region.sum() > min_area:
                score = (prior[region].sum() - border_penalty * border) / np.sqrt(region.mean())
                candidates.append(((xs.start, ys.start, xs.stop, ys.stop), score))
    return candidates


@settings(max_examples=300, deadline=None)
@given(labels=maps, min_area=st.integers(0, 8), sigma=st.sampled_from([0.1, 0.25]), penalty=st.sampled_from([0.0, 2.0]))
def test_equals_the_literal_search(labels, min_area, sigma, penalty):
    box = chosen(labels, Objectness(sigma, penalty), min_area)
    candidates = literal(labels, sigma, penalty, min_area)
    if not candidates:
        assert box is None
        return
    best = max(score for _, score in candidates)
    assert box in [candidate for candidate, score in candidates if score >= best - 1e-9]


def test_the_formula_by_hand():
    scores = Objectness(0.25, 2.0)(np.array([0.5, 0.3]), np.array([0.1, 0.2]), np.array([0.25, 0.04]))
    np.testing.assert_allclose(scores, [(0.5 - 0.2) / 0.5, (0.3 - 0.4) / 0.2])


def test_the_prior_by_hand():
    """Three columns lie at -1/3, 0 and 1/3 of the width: with sigma 1/3 the outer ones weigh exp(-1/2)."""
    outer = np.exp(-0.5)
    rows, columns = Objectness(1 / 3, 2.0).prior((1, 3))
    np.testing.assert_allclose(columns, np.array([outer, 1, outer]) / (1 + 2 * outer))
    assert rows == [1]


@pytest.mark.parametrize("size", [(1, 1), (7, 4), (375, 500)])
def test_the_prior_sums_to_one_and_is_symmetric(size):
    for axis in objectness().prior(size):
        assert axis.sum() == pytest.approx(1)
        np.testing.assert_allclose(axis, axis[::-1])


def test_border_shares_by_hand():
    labels = np.array([[0, 0, 1, 1], [2, 2, 2, 2], [3, 3, 3, 4]], np.uint8)
    upper, lower = np.array([1 / 2, 1 / 2, 0, 0, 0]), np.array([0, 0, 0, 3 / 4, 1 / 4])
    left, right = np.array([1, 0, 1, 1, 0]) / 3, np.array([0, 1, 1, 0, 1]) / 3
    expected = (upper + left + right + LOWER_SIDE * lower) / (3 + LOWER_SIDE)
    np.testing.assert_allclose(border_shares(labels, 5), expected)


def test_a_subject_in_the_middle_is_chosen():
    labels = np.zeros((60, 80), np.uint8)
    labels[20:45, 30:52] = 1
    assert chosen(labels, objectness(), 100) == (30, 20, 52, 45)


def test_a_subject_that_stands_on_the_lower_border_is_chosen():
    labels = np.zeros((60, 80), np.uint8)
    labels[20:, 30:52] = 1
    assert chosen(labels, objectness(), 100) == (30, 20, 52, 60)


def test_a_subject_in_two_clusters_is_one():
    labels = np.zeros((60, 80), np.uint8)
    labels[12:30, 25:55] = 1
    labels[30:50, 25:55] = 2
    assert chosen(labels, objectness(), 100) == (25, 12, 55, 50)


def test_the_region_of_the_box_has_more_pixels_than_min_area():
    labels = np.zeros((5, 6), np.uint8)
    assert chosen(labels, objectness(), 30) is None
    assert chosen(labels, objectness(), 29) == (0, 0, 6, 5)


def test_merged_regions_add_up():
    labels = np.array([[0, 1, 2, 0], [0, 1, 0, 0], [3, 3, 3, 3], [1, 2, 2, 2]], np.uint8)
    rows, columns = objectness().prior(labels.shape)
    regions = Regions.of(labels)
    unions = united(regions, regions.sums(rows, columns), 4)
    of_pair = (unions.clusters == (1, 2)).all(axis=1)
    masks = [[(0, 1), (0, 2), (1, 1)], [(3, 0), (3, 1), (3, 2), (3, 3)]]
    assert unions.area[of_pair].tolist() == [3, 4]
    assert unions.boxes[of_pair].tolist() == [[1, 0, 3, 2], [0, 3, 4, 4]]
    np.testing.assert_allclose(unions.total[of_pair], [sum(rows[y] * columns[x] for y, x in mask) for mask in masks])


@settings(max_examples=100, deadline=None)
@given(labels=maps)
def test_regions_and_their_sums_are_scipys(labels):
    regions, weights = Regions.of(labels), np.outer(np.arange(1.0, 10)[: len(labels)], np.arange(9)[: labels.shape[1]])
    found = [
        (region == i, cluster)
        for cluster in np.unique(labels)
        for region, count in [ndimage.label(labels == cluster)]
        for i in range(1, count + 1)
    ]
    found.sort(key=lambda item: np.flatnonzero(item[0])[0])
    assert regions.area.tolist() == [mask.sum() for mask, _ in found]
    assert regions.cluster.tolist() == [cluster for _, cluster in found]
    sums = regions.sums(np.arange(1.0, 10)[: len(labels)], np.arange(9.0)[: labels.shape[1]])
    np.testing.assert_allclose(sums, [weights[mask].sum() for mask, _ in found])
