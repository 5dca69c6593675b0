"""The two-tap form against the dense operator."""

import numpy as np
import pytest
import torch

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


def test_operators_of_more_than_two_neighbours_have_no_taps():
    assert taps(operator(6, 40, "bicubic")) is None


def test_operators_out_of_order_have_no_taps():
    assert taps(np.eye(3, dtype=np.float32)[[1, 0, 2]]) is None


def test_a_part_of_an_operator_has_taps():
    assert taps(operator(5, 70)[torch.arange(3, 50, 7).numpy()]) is not None
