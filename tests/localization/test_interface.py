"""Which pixels a token covers, with and without padding; the protocol of localizers; keys of attention."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nave.encoder.encoder import Encoder
from nave.localization.interface import PatchTokens, component_at, patch_tokens, whole_image
from tests.helpers.parts import UNTRAINED, localizer, tokens


@settings(deadline=None)
@given(
    st.tuples(st.integers(1, 40), st.integers(1, 40)),
    st.sampled_from([3, 7, 16]),
    st.sampled_from([1, 2]),
)
def test_every_pixel_belongs_to_the_token_that_covers_it(size, patch, coarser):
    """With ``coarser``, the network pads to multiples of more than one patch, as networks with coarser layers do."""
    side = patch * coarser
    padded = tuple(-(-length // side) * side for length in size)
    grid = (padded[0] // patch, padded[1] // patch)
    numbers = torch.arange(grid[0] * grid[1]).reshape(1, *grid).float()
    patches = tokens(numbers, padded, size)
    rows, columns = np.indices(size) // patch
    for token in range(patches.tokens[0].numel()):
        row, column = divmod(token, patches.tokens.shape[2])
        mask = np.zeros(patches.tokens.shape[1:], bool)
        mask[row, column] = True
        pixels = patches.at_pixels(mask)
        np.testing.assert_array_equal(pixels, (rows == row) & (columns == column))
        assert pixels.any(), "a token that covers padding alone"
        assert pixels[patches.first_pixel(row, column)] == 1
        assert patches.tokens[0, row, column] == row * grid[1] + column


def test_patches_that_are_no_whole_pixels():
    patches = PatchTokens(torch.zeros(1, 2, 2), (2.5, 2.5), (5, 5))
    rows = patches.at_pixels(np.array([[True, True], [False, False]]))
    np.testing.assert_array_equal(rows[:, 0], [1, 1, 0, 0, 0])  # the second token begins at the middle pixel's centre
    for row in (0, 1):
        assert patches.at_pixels(np.eye(2, dtype=bool)[[row]].T @ np.ones((1, 2), bool))[patches.first_pixel(row, 0)]


def test_the_component_around_a_pixel():
    labels = np.zeros((10, 12), np.uint8)
    labels[1:4, 2:5] = labels[6:9, 7:12] = 1
    for pixel, box in (((2, 3), (2, 1, 5, 4)), ((8, 11), (7, 6, 12, 9))):
        localization = component_at(labels, pixel)
        assert localization.box == box
        ((component, score),) = localization.components
        assert (component.box, component.cluster, score) == (box, 1, 1.0)


@pytest.mark.parametrize("size", [(1, 1), (3, 5)])
def test_the_whole_image_is_a_box(size):
    assert whole_image(size).box == (0, 0, size[1], size[0])
    assert whole_image(size).components[0][0].inner_box == (0, 0, size[1], size[0])


def test_keys_are_those_of_the_last_layers_attention():
    encoder = Encoder("vit", "vit_tiny_patch16_224", [-2, -1], UNTRAINED, options={"dynamic_img_size": True})
    assert localizer("lost", features="tokens").layers(encoder.layers) == ["blocks.11"]
    baseline = localizer("lost", features="keys")
    encoder.select_layers(baseline.layers(encoder.layers))
    seen = {}
    attention = encoder.network.blocks[11].attn
    attention.register_forward_pre_hook(lambda _, inputs: seen.update(x=inputs[0]))
    (patches,) = patch_tokens(encoder(torch.randint(0, 256, (1, 3, 32, 48), dtype=torch.uint8)))
    count = seen["x"].shape[1]
    qkv = attention.qkv(seen["x"]).reshape(1, count, 3, attention.num_heads, -1).permute(2, 0, 3, 1, 4)
    keys = qkv[1][0].transpose(0, 1).flatten(1)[1:]  # heads side by side, without the class token
    assert torch.equal(baseline.rows(patches), keys)


@pytest.mark.parametrize("name", ["whole_image", "lost", "tokencut"])
def test_baselines_need_no_clusters(name):
    assert localizer(name).ks((5, "auto")) == (None,)


def test_nave_reads_all_layers_under_every_k():
    assert localizer("nave").ks((5, "auto")) == (5, "auto")
    assert localizer("nave").layers(["blocks.0", "blocks.1"]) == ["blocks.0", "blocks.1"]
