"""The composer against a literal composite: interpolate, crop, normalise, weight, concatenate."""

import itertools

import jaxtyping
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from nave.composite.composer import Composer
from tests.composite.test_composite import check_algebra, close
from tests.helpers.parts import activations, composer

UPSAMPLINGS = ["bilinear", "bicubic", "nearest"]
NORMALISATIONS = ["none", "standardise", "l2"]
WEIGHTINGS = ["equal", "channels"]
GRIDS = {
    "one grid": [(6, 3, 4), (9, 3, 4)],
    "two grids": [(6, 6, 8), (9, 3, 4)],
    "three": [(4, 5, 7), (2, 5, 7), (3, 2, 2)],
}
PADDED, IMAGE = (42, 56), (40, 47)


def random_grids(shapes, batch=2, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return {f"layer{i}": torch.randn(batch, *shape, generator=generator) + 1 for i, shape in enumerate(shapes)}


def literal(compose, grids, padded, image):
    """``(B, N, D)`` in double precision."""
    first = next(iter(grids.values()))
    resolution = {"input": padded, "grid": tuple(first.shape[2:])}.get(str(compose.resolution), compose.resolution)
    corners = None if compose.upsampling == "nearest" else False
    layers = []
    for grid in grids.values():
        size, mode = tuple(resolution), compose.upsampling
        x = functional.interpolate(grid.double(), size=size, mode=mode, align_corners=corners)
        if compose.resolution == "input":
            x = x[:, :, : image[0], : image[1]]
        if compose.normalisation == "standardise":
            x = (x - x.mean((2, 3), keepdim=True)) / x.std((2, 3), correction=0, keepdim=True)
        if compose.normalisation == "l2":
            x = x / x.norm(dim=1, keepdim=True)
        if compose.layer_weighting == "channels":
            x = x * (1 + first.shape[1]) / (1 + grid.shape[1])
        layers.append(x.flatten(2))
    return torch.cat(layers, dim=1).transpose(1, 2)


def composed(grids, **options):
    return composer(**options)(activations(grids, PADDED, IMAGE))


OPTIONS = list(itertools.product(UPSAMPLINGS, NORMALISATIONS, WEIGHTINGS, GRIDS))


@pytest.mark.parametrize("resolution", ["input", "grid", (20, 30)], ids=str)
@pytest.mark.parametrize(("upsampling", "normalisation", "weighting", "grids"), OPTIONS)
def test_materialised_equals_literal(resolution, upsampling, normalisation, weighting, grids):
    compose = Composer(resolution, upsampling, normalisation, weighting)
    layers = random_grids(GRIDS[grids])
    composite = compose(activations(layers, PADDED, IMAGE))
    expected = literal(compose, layers, PADDED, IMAGE)
    assert composite.batch == 2
    assert composite.size[0] * composite.size[1] == expected.shape[1]
    assert sum(composite.channels) == expected.shape[2]
    close(composite.materialise(), expected, 1e-3 if normalisation == "l2" else 1e-4)  # l2 divides by small norms


@settings(max_examples=60, deadline=None)
@given(
    # channels enough that no point is nearly zero, where l2 would divide rounding by rounding
    shapes=st.lists(st.tuples(st.integers(6, 9), st.integers(1, 5), st.integers(1, 5)), min_size=1, max_size=3),
    padded=st.tuples(st.integers(5, 24), st.integers(5, 24)),
    cut=st.tuples(st.integers(0, 4), st.integers(0, 4)),
    options=st.tuples(*map(st.sampled_from, (["input", "grid", [4, 7]], UPSAMPLINGS, ["none", "l2"], WEIGHTINGS))),
    batch=st.integers(1, 3),
)
def test_any_shapes_and_options(shapes, padded, cut, options, batch):
    image = (padded[0] - cut[0], padded[1] - cut[1])
    compose, layers = Composer(*options), random_grids(shapes, batch)
    composite = compose(activations(layers, padded, image))
    close(composite.materialise(), literal(compose, layers, padded, image), 1e-3)
    check_algebra(composite)


def test_equal_grids_are_one_operator_unless_points_have_scales():
    def blocks(grids, normalisation):
        return len(composed(random_grids(GRIDS[grids]), normalisation=normalisation).blocks)

    assert [blocks(grids, "standardise") for grids in GRIDS] == [1, 2, 2]
    assert [blocks(grids, "l2") for grids in GRIDS] == [2, 2, 3]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_reduced_precision_ends_here(dtype):
    layers = {name: grid.to(dtype) for name, grid in random_grids(GRIDS["two grids"]).items()}
    X = composed(layers).materialise()
    assert X.dtype == torch.float32
    close(X, literal(composer(), layers, PADDED, IMAGE))


@pytest.mark.parametrize("upsampling", UPSAMPLINGS)
@pytest.mark.parametrize("value", [0.0, 1e-8, 0.7, -3e5])
def test_a_channel_that_does_not_vary_is_zero_when_standardised(upsampling, value):
    layers = random_grids([(3, 4, 6)])
    layers["layer0"][:, 1] = value
    X = composed(layers, upsampling=upsampling).materialise()
    assert (X[:, :, 1] == 0).all()
    close(X.std((1,), correction=0)[:, [0, 2]], torch.ones(2, 2), 1e-3)


def test_a_point_without_length_stays_zero_under_l2():
    layers = random_grids([(3, 4, 6)])
    layers["layer0"][0] = 0
    assert (composed(layers, normalisation="l2").materialise()[0] == 0).all()


def test_large_offsets_leave_the_deviation_alone():
    """ViTs have channels a hundred times as large as their variation."""
    layers = random_grids([(2, 5, 7)])
    layers["layer0"][:, 0] += 300
    close(composed(layers).materialise(), literal(composer(), layers, PADDED, IMAGE), 2e-3)


@pytest.mark.parametrize("resolution", ["grid", (3, 4), (6, 9)], ids=str)
def test_labels_return_to_the_input_without_its_padding(resolution):
    height, width = (3, 4) if resolution == "grid" else resolution
    labels = torch.randint(0, 250, (2, height, width), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    rows = np.arange(IMAGE[0]) * height // PADDED[0]
    columns = np.arange(IMAGE[1]) * width // PADDED[1]
    at_input = composer(resolution=resolution).labels_at_input(labels, activations({}, PADDED, IMAGE))
    assert at_input.dtype == torch.uint8
    np.testing.assert_array_equal(at_input.numpy(), labels.numpy()[:, rows][:, :, columns])


def test_labels_at_input_resolution_are_the_map():
    labels = torch.zeros(1, *IMAGE, dtype=torch.uint8)
    assert composer().labels_at_input(labels, activations({}, PADDED, IMAGE)) is labels


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"upsampling": "lanczos"}, "upsampling='lanczos': choose one of bilinear, bicubic, nearest"),
        ({"normalisation": "L2"}, "normalisation='L2': choose one of standardise, l2, none"),
        ({"layer_weighting": 1}, "layer_weighting=1: choose one of equal, channels"),
        ({"resolution": "full"}, r"resolution='full': choose input, grid or \[h,w\]"),
        ({"resolution": [28]}, r"resolution=\[28\]: choose input, grid or \[h,w\]"),
        ({"resolution": [0, 28]}, r"resolution=\[0, 28\]: choose input, grid or \[h,w\]"),
    ],
)
def test_unknown_options_list_the_choices(options, message, monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # as for a user without a type checker
    with pytest.raises(ValueError, match=message):
        composer(**options)
