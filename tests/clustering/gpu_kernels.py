"""Checks of the Triton kernels against tensors, run by :mod:`tests.clustering.test_kernels_gpu` in the interpreter."""

import sys
from itertools import starmap

import torch

from nave.clustering import kernels_gpu
from nave.clustering.batched import PAUSED, Assignment, Iterations, State, Stop, TensorIterations
from nave.clustering.batched_seeding import kmeans_plus_plus
from nave.clustering.gram import Gram, Points
from nave.clustering.sampling import grid_points, uniforms
from nave.composite.composite import Block, Composite
from nave.composite.upsampling import Upsampling, operator

QUICK = [(2, 5, 5, 3, 3, 2, "bilinear")]
SLOW = [
    (2, 5, 11, 7, 3, 2, "bilinear"),
    (3, 4, 14, 0, 1, 30, "bilinear"),
    (4, 5, 7, 2, 5, 20, "nearest"),
    (3, 4, 6, 2, 4, 300, "bilinear"),
    (1, 1, 12, 5, 2, 300, "bilinear"),  # a single grid point
    (4, 4, 1, 0, 3, 300, "bilinear"),  # the grid itself
    (5, 4, 32, 5, 17, 3, "bilinear"),
    (20, 30, 2, 1, 5, 20, "bilinear"),  # several blocks of grid points
    (9, 12, 7, 3, 8, 40, "bilinear"),
]


def composite(h: int, w: int, scale: int, cut: int, kind: Upsampling) -> Composite:
    """Three images of ``h x w`` grid points, upsampled and cropped."""
    cpu = torch.device("cpu")
    rows, cols = (operator(n, n * scale, kind, n * scale - cut, cpu) for n in (h, w))
    return Composite((Block(torch.randn(3, 8, h, w), rows, cols),))


def run(way: Iterations, points: Points, iterations: int) -> tuple[State, torch.Tensor, Assignment]:
    """Iterates; also returns the labels of the images that paused."""
    state = State.start(points, points.gram.further_points())
    way.advance(state, iterations)
    return state, state.labels[state.status == PAUSED].clone(), way.assign(state)


def check_iterations(h: int, w: int, scale: int, cut: int, k: int, limit: int, kind: Upsampling) -> None:
    """The third image is ordinary; the first has an empty cluster, the second centroids that coincide."""
    torch.manual_seed(h * w + k)
    problem, start = composite(h, w, scale, cut, kind), torch.randn(3, k, 8)
    start[0, 0] += 100
    start[1, k // 2] = start[1, 0] * (1 + 1e-7)
    points = Points(problem, Gram.from_composite(problem, start))
    stop = Stop(torch.full((3,), -1.0, dtype=torch.float64), limit)
    fused = kernels_gpu.FusedIterations.from_points(points, stop, k)
    assert fused is not None
    (state, paused, new), (expected, expected_paused, reference) = (
        run(way, points, limit) for way in (fused, TensorIterations(points, stop))
    )
    for name in ("status", "iterations", "changed"):
        assert torch.equal(getattr(state, name), getattr(expected, name)), name
    assert torch.equal(paused, expected_paused)
    assert torch.equal(new.labels, reference.labels)
    for name in ("coefficients", "products", "half_norms"):
        torch.testing.assert_close(getattr(state, name), getattr(expected, name), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(new.counts, reference.counts)
    torch.testing.assert_close(new.pooled, reference.pooled, atol=1e-4, rtol=1e-4)


def check_seeding(h: int, w: int, scale: int, cut: int, k: int, limit: int, kind: Upsampling) -> None:
    """The same random numbers draw the same points."""
    torch.manual_seed(h * w + limit)
    problem = composite(h, w, scale, cut, kind)
    points = Points(grid_points(problem), Gram.from_composite(problem))
    draws = uniforms(torch.arange(3), 1, k)[:, 0]
    drawn = kernels_gpu.kmeans_plus_plus(points, draws)
    assert drawn is not None
    torch.testing.assert_close(drawn, kmeans_plus_plus(points, draws))


if __name__ == "__main__":
    cases = {"quick": QUICK, "slow": SLOW}[sys.argv[1]]
    list(starmap(check_seeding, cases))
    list(starmap(check_iterations, cases))
