"""Components against a slow literal reading of their definition: scipy's labelling, cluster by cluster."""

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from nave.localization.components import Component, components


def literal(labels, min_area, border):
    height, width = labels.shape
    rows, columns = np.indices(labels.shape)
    inside = (rows >= border) & (rows < height - border) & (columns >= border) & (columns < width - border)
    items = []
    for cluster in np.unique(labels):
        regions, count = ndimage.label((labels == cluster) & inside)
        for region in range(1, count + 1):
            ys, xs = np.nonzero(regions == region)
            if len(ys) > min_area:
                items.append((ys[0] * width + xs[0], cluster, regions == region))
    return [(cluster, mask) for _, cluster, mask in sorted(items, key=lambda item: item[0])]


def literal_boxes(mask):
    """Box and inner box, in the inclusive pixel indices of the authors' description, then half-open."""
    ys, xs = np.nonzero(mask)
    box, inner = [None] * 4, [None] * 4
    for axis, positions in enumerate((xs, ys)):
        low, high, median = positions.min(), positions.max(), np.median(positions)
        half = min(median - low, high - median)
        box[axis], box[axis + 2] = low, high + 1
        inner[axis], inner[axis + 2] = median - half, median + half + 1
    return tuple(box), tuple(inner)


def check(labels, min_area, border):
    items, regions, chosen = components(labels, min_area=min_area, border=border)
    expected = literal(labels, min_area, border)
    assert len(items) == len(expected)
    for item, region, (cluster, mask) in zip(items, chosen, expected, strict=True):
        assert (item.cluster, item.area) == (cluster, mask.sum())
        assert (item.box, item.inner_box) == literal_boxes(mask)
        y, x = (np.argwhere(mask)[-1] - border).tolist()
        assert regions.at((y, x)) == region
    return items


@settings(max_examples=300, deadline=None)
@given(
    labels=hnp.arrays(np.uint8, hnp.array_shapes(min_dims=2, max_dims=2, max_side=14), elements=st.integers(0, 3)),
    min_area=st.integers(0, 6),
    border=st.integers(0, 3),
)
def test_equals_scipy_cluster_by_cluster(labels, min_area, border):
    check(labels, min_area, border)


@pytest.mark.parametrize("clusters", [1, 2, 5])
def test_photograph_sized_map_with_the_authors_sizes(clusters):
    noise = np.random.default_rng(clusters).normal(size=(clusters, 120, 170))
    labels = ndimage.gaussian_filter(noise, (0, 9, 9)).argmax(0).astype(np.uint8)
    assert check(labels, 784, 14)


def test_thin_tail_does_not_stretch_the_inner_box():
    labels = np.zeros((20, 40), np.uint8)
    labels[5:15, 5:15] = 1
    labels[9, 15:35] = 1
    item = next(c for c in components(labels, min_area=0, border=0)[0] if c.cluster == 1)
    # 120 pixels; columns 5..14 hold ten each and 15..34 one each: the median column is 10 and 11's mean, 10.5
    assert item == Component(cluster=1, area=120, box=(5, 5, 35, 15), inner_box=(5, 5, 17, 14))


def test_a_component_has_more_pixels_than_min_area():
    labels = np.zeros((28 + 28, 28 + 28), np.uint8)
    assert components(labels, min_area=784, border=14)[0] == ()
    assert components(np.zeros((56, 57), np.uint8), min_area=784, border=14)[0] == (
        Component(cluster=0, area=28 * 29, box=(14, 14, 43, 42), inner_box=(14, 14, 43, 42)),
    )


def test_diagonal_neighbours_are_not_connected():
    labels = np.eye(2, dtype=np.uint8)
    assert [c.area for c in components(labels, min_area=0, border=0)[0]] == [1, 1, 1, 1]


@pytest.mark.parametrize("shape", [(1, 1), (28, 500), (500, 28), (27, 27)])
def test_a_map_that_is_all_border_has_no_components(shape):
    assert components(np.zeros(shape, np.uint8), min_area=784, border=14)[0] == ()


@pytest.mark.parametrize("wrong", [{"border": -1}, {"min_area": -1}])
def test_negative_sizes_are_refused(wrong):
    with pytest.raises(ValueError, match="must not be negative"):
        components(np.zeros((40, 40), np.uint8), **{"min_area": 784, "border": 14, **wrong})
