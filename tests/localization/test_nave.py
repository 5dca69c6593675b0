"""From a map to ranked components and one box."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from nave.localization.components import components
from nave.localization.objectness import LOWER_SIDE, border_shares, one_box
from tests.helpers.parts import nave_localizer, objectness, tokens


def smooth_map(clusters=4, size=(120, 170), seed=0):
    noise = np.random.default_rng(seed).normal(size=(clusters, *size))
    return ndimage.gaussian_filter(noise, (0, 9, 9)).argmax(0).astype(np.uint8)


def localized(labels, **options):
    returned, localization = nave_localizer(**options)(labels, tokens(torch.zeros(1, 1, 1), labels.shape))
    assert returned is labels
    return localization


def literal_score(labels, item):
    """The formula of :class:`Objectness`, for one component at a time."""
    inside = np.zeros(labels.shape, bool)
    inside[5:-5, 5:-5] = labels[5:-5, 5:-5] == item.cluster
    found = ndimage.label(inside)[0]
    x1, y1, x2, y2 = item.box
    masks = [found == region for region in np.unique(found[y1:y2, x1:x2]) if region]
    (mask,) = [m for m in masks if m.sum() == item.area and m[y1].any() and m[y2 - 1].any()]
    member = labels == item.cluster
    sides = member[0], member[:, 0], member[:, -1], LOWER_SIDE * member[-1]
    border = sum(side.mean() for side in sides) / (3 + LOWER_SIDE)
    return (np.outer(*objectness().prior(labels.shape))[mask].sum() - 2 * border) / np.sqrt(mask.mean())


@pytest.mark.parametrize("seed", range(5))
def test_components_are_ranked_by_their_scores(seed):
    labels = smooth_map(seed=seed)
    ranked = localized(labels, min_area=100, border=5).components
    items = components(labels, min_area=100, border=5)[0]
    expected = {item: literal_score(labels, item) for item in items}
    assert {component for component, _ in ranked} == set(expected)
    scores = [score for _, score in ranked]
    assert scores == sorted(scores, reverse=True)
    np.testing.assert_allclose(scores, [expected[component] for component, _ in ranked])


def test_the_one_box_may_reach_into_the_border():
    labels = smooth_map()
    box = localized(labels, border=14).box
    assert box == localized(labels, border=0).box == one_box(labels, border_shares(labels, 4), objectness(), 784)


def test_options_reach_the_score():
    labels = smooth_map(seed=3)
    wide, narrow = (localized(labels, sigma=sigma, border_penalty=0.0).components for sigma in (0.5, 0.1))
    assert [score for _, score in wide] != [score for _, score in narrow]
    assert localized(labels, border_penalty=9.0).components[0][1] < wide[0][1]


@pytest.mark.parametrize("size", [(1, 1), (5, 7), (28, 28), (20, 400)])
def test_a_map_without_components_gives_the_whole_image(size):
    localization = localized(np.zeros(size, np.uint8), min_area=10**6)
    assert localization.components == ()
    assert localization.box == (0, 0, size[1], size[0])


def test_one_cluster_is_the_whole_image():
    localization = localized(np.zeros((100, 120), np.uint8))
    assert [component.box for component, _ in localization.components] == [(14, 14, 106, 86)]
    assert localization.box == (0, 0, 120, 100)
