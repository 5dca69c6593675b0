"""The operator against ``torch.nn.functional.interpolate``, and its shortcuts against the upsampled tensor."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from nave.composite.upsampling import moments, second_moments, squared_norms, upsampling_matrix

MODES = ["bilinear", "bicubic", "nearest"]
sides = st.integers(1, 9)
targets = st.integers(1, 40)


def interpolated(grid, size, upsampling):
    corners = None if upsampling == "nearest" else False
    return functional.interpolate(grid, size=size, mode=upsampling, align_corners=corners)


@pytest.mark.parametrize("upsampling", MODES)
@pytest.mark.parametrize(
    ("source", "target"),
    [((9, 12), (126, 168)), ((27, 36), (378, 504)), ((7, 5), (7, 5)), ((1, 1), (14, 3)), ((30, 20), (9, 7))],
)
def test_rows_and_columns_make_interpolate(upsampling, source, target):
    grid = torch.randn(2, 3, *source, generator=torch.Generator().manual_seed(0))
    rows, cols = (upsampling_matrix(n, N, upsampling) for n, N in zip(source, target, strict=True))
    torch.testing.assert_close(rows @ grid @ cols.T, interpolated(grid, target, upsampling), rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize("upsampling", MODES)
@settings(max_examples=60, deadline=None)
@given(source=st.integers(1, 60), target=st.integers(1, 400))
def test_rows_sum_to_one(upsampling, source, target):
    torch.testing.assert_close(upsampling_matrix(source, target, upsampling).sum(1), torch.ones(target))


def test_the_operator_is_single_precision_whatever_the_default():
    torch.set_default_dtype(torch.float64)
    try:
        assert upsampling_matrix(3, 61, "bilinear").dtype == torch.float32
    finally:
        torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("upsampling", MODES)
@settings(max_examples=40, deadline=None)
@given(h=sides, w=sides, H=targets, W=targets, offset=st.sampled_from([0.0, 3.0]))
def test_moments_and_norms_equal_those_of_the_upsampled_tensor(upsampling, h, w, H, W, offset):
    grid = torch.randn(2, 5, h, w, generator=torch.Generator().manual_seed(h + 10 * w)) + offset
    rows, cols = upsampling_matrix(h, H, upsampling), upsampling_matrix(w, W, upsampling)
    full = rows.double() @ grid.double() @ cols.double().T
    mean, deviation = moments(grid, rows, cols)
    torch.testing.assert_close(mean.double(), full.mean((2, 3), keepdim=True), rtol=1e-4, atol=1e-5)
    expected = full.var((2, 3), correction=0, keepdim=True).sqrt()
    torch.testing.assert_close(deviation.double(), expected, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(second_moments(grid, rows, cols).double(), (full**2).sum((2, 3)), rtol=1e-4, atol=1e-3)
    torch.testing.assert_close(squared_norms(grid, rows, cols).double(), (full**2).sum(1), rtol=1e-4, atol=1e-4)


def test_moments_of_a_part_are_of_the_part():
    """Rows and columns over the padding are left out of the operator."""
    grid = torch.randn(1, 4, 5, 6, generator=torch.Generator().manual_seed(0))
    rows, cols = upsampling_matrix(5, 70, "bilinear")[:61], upsampling_matrix(6, 84, "bilinear")[:80]
    full = interpolated(grid, (70, 84), "bilinear")[:, :, :61, :80]
    mean, deviation = moments(grid, rows, cols)
    torch.testing.assert_close(mean, full.mean((2, 3), keepdim=True), rtol=1e-4, atol=1e-5)
    expected = full.var((2, 3), correction=0, keepdim=True).sqrt()
    torch.testing.assert_close(deviation, expected, rtol=1e-4, atol=1e-5)
