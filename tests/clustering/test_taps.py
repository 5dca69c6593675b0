"""The two-tap form against the dense operator."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nave.clustering.taps import taps
from nave.upsampling import matrix


def operator(source, target, upsampling="bilinear"):
    return matrix(source, target, upsampling).numpy()


@pytest.mark.parametrize("upsampling", ["bilinear", "nearest"])
@pytest.mark.parametrize(("source", "target"), [(7, 98), (7, 7), (12, 5), (1, 9), (9, 1)])
def test_taps_rebuild_the_operator(upsampling, source, target):
    dense = operator(source, target, upsampling)
    first, weight = taps(dense)
    rebuilt = np.zeros((target, source + 1), np.float32)
    rebuilt[np.arange(target), first] = 1 - weight
    rebuilt[np.arange(target), first + 1] += weight
    np.testing.assert_allclose(rebuilt[:, :source], dense, atol=1e-6)
    assert not rebuilt[:, source].any()


@settings(deadline=None)
@given(source=st.integers(1, 40), target=st.integers(1, 600), upsampling=st.sampled_from(["bilinear", "nearest"]))
def test_what_the_kernels_are_for_always_has_taps(source, target, upsampling):
    first, weight = taps(operator(source, target, upsampling))
    assert (np.diff(first + weight) >= 0).all()
    assert weight.min() >= 0
    assert weight.max() <= 1


@pytest.mark.parametrize("source", [6, 2])  # two grid points have no third, but bicubic weights overshoot
def test_bicubic_operators_have_no_taps(source):
    assert taps(operator(source, 40, "bicubic")) is None


def test_operators_out_of_order_have_no_taps():
    assert taps(np.eye(3, dtype=np.float32)[[1, 0, 2]]) is None


def test_a_part_of_an_operator_has_taps():
    assert taps(operator(5, 70)[torch.arange(3, 50, 7).numpy()]) is not None
