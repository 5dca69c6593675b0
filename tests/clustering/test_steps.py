"""Half squared norms with coincident centroids, and interpolation weights."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nave.clustering.interface import coincident
from nave.clustering.steps import half_squared_norms, interpolation_weights
from nave.composite.upsampling import upsampling_matrix


def test_a_centroid_that_repeats_another_gets_no_points():
    centroids = torch.randn(1, 1, 40, generator=torch.Generator().manual_seed(0)).repeat(1, 4, 1)
    centroids[0, 2] += 1
    centroids[0, 3] *= 1 + 1e-7
    assert half_squared_norms(centroids)[0].isinf().tolist() == [False, True, False, True]
    centroids[0, 3] *= 1 + 1e-3
    assert half_squared_norms(centroids)[0].isinf().tolist() == [False, True, False, False]


@settings(max_examples=100, deadline=None)
@given(
    st.integers(1, 8), st.integers(1, 40), st.sampled_from([0, 1e-7, 1e-6, 1e-4]), st.booleans(), st.integers(0, 999)
)
def test_compiled_half_norms_equal_those_of_tensors(k, d, near, zeros, seed):
    generator = torch.Generator().manual_seed(seed)
    centroids = torch.randn(2, k, d, generator=generator) * (0 if zeros else 1)
    centroids = torch.cat([centroids, centroids * (1 + near)], dim=1)
    expected = ((centroids**2).sum(2) / 2).masked_fill(coincident(centroids).tril(-1).any(2), torch.inf)
    torch.testing.assert_close(half_squared_norms(centroids), expected)


def operator(source, target, upsampling="bilinear"):
    return upsampling_matrix(source, target, upsampling).numpy()


@pytest.mark.parametrize("upsampling", ["bilinear", "nearest"])
@pytest.mark.parametrize(("source", "target"), [(7, 98), (7, 7), (12, 5), (1, 9), (9, 1)])
def test_interpolation_weights_rebuild_the_operator(upsampling, source, target):
    dense = operator(source, target, upsampling)
    first, weight = interpolation_weights(dense)
    rebuilt = np.zeros((target, source + 1), np.float32)
    rebuilt[np.arange(target), first] = 1 - weight
    rebuilt[np.arange(target), first + 1] += weight
    np.testing.assert_allclose(rebuilt[:, :source], dense, atol=1e-6)
    assert not rebuilt[:, source].any()


@settings(deadline=None)
@given(source=st.integers(1, 40), target=st.integers(1, 600), upsampling=st.sampled_from(["bilinear", "nearest"]))
def test_bilinear_and_nearest_always_have_interpolation_weights(source, target, upsampling):
    first, weight = interpolation_weights(operator(source, target, upsampling))
    assert (np.diff(first + weight) >= 0).all()
    assert weight.min() >= 0
    assert weight.max() <= 1


@pytest.mark.parametrize("source", [6, 2])  # two grid points have no third, but bicubic weights overshoot
def test_bicubic_operators_have_no_interpolation_weights(source):
    assert interpolation_weights(operator(source, 40, "bicubic")) is None


def test_operators_out_of_order_have_no_interpolation_weights():
    assert interpolation_weights(np.eye(3, dtype=np.float32)[[1, 0, 2]]) is None


def test_part_of_an_operator_has_interpolation_weights():
    assert interpolation_weights(operator(5, 70)[torch.arange(3, 50, 7).numpy()]) is not None
