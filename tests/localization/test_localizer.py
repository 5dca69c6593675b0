"""Tokens and pixels: which pixels a token covers, with and without padding."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nave.localization.localizer import Evidence, evidence, found_at, whole


@settings(deadline=None)
@given(
    st.tuples(st.integers(1, 40), st.integers(1, 40)),
    st.sampled_from([3, 7, 16]),
    st.sampled_from([1, 2]),
)
def test_every_pixel_of_the_image_has_the_token_it_lies_on(size, patch, coarser):
    """`coarser`: the network pads to multiples of more than one patch, as networks of several stages do."""
    side = patch * coarser
    padded = tuple(-(-length // side) * side for length in size)
    grid = (padded[0] // patch, padded[1] // patch)
    numbers = torch.arange(grid[0] * grid[1]).reshape(1, *grid).float()
    found = evidence(numbers, padded, size)
    rows, columns = np.indices(size) // patch
    for token in range(found.tokens[0].numel()):
        row, column = divmod(token, found.tokens.shape[2])
        mask = np.zeros(found.tokens.shape[1:], bool)
        mask[row, column] = True
        pixels = found.at_pixels(mask)
        np.testing.assert_array_equal(pixels, (rows == row) & (columns == column))
        assert pixels.any(), "a token that lies on the padding alone"
        assert pixels[found.first_pixel(row, column)] == 1
        assert found.tokens[0, row, column] == row * grid[1] + column


def test_patches_that_are_no_whole_pixels():
    found = Evidence(torch.zeros(1, 2, 2), (2.5, 2.5), (5, 5))
    rows = found.at_pixels(np.array([[True, True], [False, False]]))
    np.testing.assert_array_equal(rows[:, 0], [1, 1, 0, 0, 0])  # the middle pixel's centre is where the second begins
    for row in (0, 1):
        assert found.at_pixels(np.eye(2, dtype=bool)[[row]].T @ np.ones((1, 2), bool))[found.first_pixel(row, 0)]


def test_the_component_around_a_pixel():
    labels = np.zeros((10, 12), np.uint8)
    labels[1:4, 2:5] = labels[6:9, 7:12] = 1
    for pixel, box in (((2, 3), (2, 1, 5, 4)), ((8, 11), (7, 6, 12, 9))):
        found = found_at(labels, pixel)
        assert found.box == box
        assert [(component.box, component.cluster, score) for component, score in found.components] == [(box, 1, 1.0)]


@pytest.mark.parametrize("size", [(1, 1), (3, 5)])
def test_the_whole_image_is_a_box(size):
    assert whole(size).box == (0, 0, size[1], size[0])
    assert whole(size).components[0][0].inner_box == (0, 0, size[1], size[0])
