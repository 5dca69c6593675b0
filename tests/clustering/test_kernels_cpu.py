"""The compiled step against the dense upsampling, point by point."""

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nave.clustering.kernels_cpu import step
from nave.clustering.steps import interpolation_weights
from nave.composite.upsampling import upsampling_matrix


def compiled(scores, rows, cols):
    labels = np.full((len(rows), len(cols)), 255, np.uint8)
    pooled = np.zeros((scores.shape[2], *scores.shape[:2]), np.float32)
    step(scores, *interpolation_weights(rows), *interpolation_weights(cols), labels, pooled)
    return labels, pooled


def check(scores, rows, cols, tolerance=1e-5):
    """Every label is a winner up to rounding, and ``pooled`` is the adjoint of the masks."""
    labels, pooled = compiled(scores, rows, cols)
    full = np.einsum("yi,ijk,xj->yxk", rows.astype(np.float64), scores, cols)
    won = np.take_along_axis(full, labels[:, :, None].astype(int), 2)[:, :, 0]
    assert (won >= full.max(2) - tolerance * (1 + abs(scores).max())).all()
    masks = labels == np.arange(scores.shape[2])[:, None, None]
    np.testing.assert_allclose(pooled, np.einsum("yi,kyx,xj->kij", rows, masks, cols), rtol=1e-4, atol=1e-4)
    return labels, full


def operator(source, target, upsampling="bilinear"):
    return upsampling_matrix(source, target, upsampling).numpy()


@pytest.mark.parametrize("clusters", [1, 2, 5, 40, 255])
def test_photograph_size(clusters):
    scores = np.random.default_rng(clusters).normal(size=(9, 12, clusters)).astype(np.float32)
    rows, cols = operator(9, 126)[:120], operator(12, 168)[:161]
    labels, full = check(scores, rows, cols)
    order = np.sort(full, axis=2)
    clear = order[:, :, -1] - order[:, :, -2] > 1e-5 if clusters > 1 else np.ones(labels.shape, bool)
    np.testing.assert_array_equal(labels[clear], full.argmax(2)[clear])


@settings(max_examples=150, deadline=None)
@given(
    scores=hnp.arrays(np.float32, hnp.array_shapes(min_dims=3, max_dims=3, max_side=6), elements=st.integers(-3, 3)),
    size=st.tuples(st.integers(1, 30), st.integers(1, 30)),
    upsampling=st.sampled_from(["bilinear", "nearest"]),
)
def test_any_shape_up_and_down_with_many_ties(scores, size, upsampling):
    check(scores, operator(scores.shape[0], size[0], upsampling), operator(scores.shape[1], size[1], upsampling))


def test_the_lowest_id_wins_a_tie():
    scores = np.zeros((3, 4, 5), np.float32)
    scores[:, :, 1] = scores[:, :, 3] = 2.0
    assert (compiled(scores, operator(3, 20), operator(4, 20))[0] == 1).all()


def test_clusters_at_minus_infinity_win_nothing():
    scores = np.random.default_rng(0).normal(size=(4, 5, 4)).astype(np.float32)
    without = compiled(scores[:, :, [0, 2]].copy(), operator(4, 30), operator(5, 30))[0]
    scores[:, :, [1, 3]] = -np.inf
    labels, pooled = compiled(scores, operator(4, 30), operator(5, 30))
    np.testing.assert_array_equal(labels, 2 * without)
    assert np.isfinite(pooled).all()


def test_pooled_is_added_to():
    scores = np.zeros((2, 2, 1), np.float32)
    labels, pooled = np.empty((6, 6), np.uint8), np.ones((1, 2, 2), np.float32)
    step(scores, *interpolation_weights(operator(2, 6)), *interpolation_weights(operator(2, 6)), labels, pooled)
    np.testing.assert_allclose(pooled.sum(), 4 + 36)
