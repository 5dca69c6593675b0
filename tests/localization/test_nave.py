"""From a map to ranked components and one box."""

import numpy as np
import pytest
from scipy import ndimage

from nave.localization.components import components
from nave.localization.nave import ComponentLocalizer
from nave.localization.one_box import LOWER_SIDE, Objectness, one_box


def smooth_map(clusters=4, size=(120, 170), seed=0):
    noise = np.random.default_rng(seed).normal(size=(clusters, *size))
    return ndimage.gaussian_filter(noise, (0, 9, 9)).argmax(0).astype(np.uint8)


def literal_score(labels, found, index):
    """The formula of :class:`Objectness`, for one component at a time."""
    item, mask = found.items[index], found.mask(index)
    member = labels == item.cluster
    sides = member[0], member[:, 0], member[:, -1], LOWER_SIDE * member[-1]
    rim = sum(side.mean() for side in sides) / (3 + LOWER_SIDE)
    return (Objectness().prior(labels.shape)[mask].sum() - 2 * rim) / np.sqrt(mask.mean())


@pytest.mark.parametrize("seed", range(5))
def test_components_are_ranked_by_their_scores(seed):
    labels = smooth_map(seed=seed)
    ranked = ComponentLocalizer(min_area=100, border=5)(labels).components
    found = components(labels, min_area=100, border=5)
    expected = {item: literal_score(labels, found, index) for index, item in enumerate(found.items)}
    assert {component for component, _ in ranked} == set(expected)
    scores = [score for _, score in ranked]
    assert scores == sorted(scores, reverse=True)
    np.testing.assert_allclose(scores, [expected[component] for component, _ in ranked])


def test_the_one_box_does_not_lose_the_border():
    labels = smooth_map()
    box = ComponentLocalizer(border=14)(labels).box
    assert box == ComponentLocalizer(border=0)(labels).box == one_box(labels, Objectness(), 784)


def test_options_reach_the_score():
    labels = smooth_map(seed=3)
    wide, narrow = (ComponentLocalizer(sigma=sigma, rim_penalty=0.0)(labels).components for sigma in (0.5, 0.1))
    assert [score for _, score in wide] != [score for _, score in narrow]
    assert ComponentLocalizer(rim_penalty=9.0)(labels).components[0][1] < wide[0][1]


@pytest.mark.parametrize("size", [(1, 1), (5, 7), (28, 28), (20, 400)])
def test_a_map_without_components_gives_the_whole_image(size):
    localization = ComponentLocalizer(min_area=10**6)(np.zeros(size, np.uint8))
    assert localization.components == ()
    assert localization.box == (0, 0, size[1], size[0])


def test_one_cluster_is_the_whole_image():
    localization = ComponentLocalizer()(np.zeros((100, 120), np.uint8))
    assert [component.box for component, _ in localization.components] == [(14, 14, 106, 86)]
    assert localization.box == (0, 0, 120, 100)
