"""The Triton kernels under Triton's interpreter, which needs no GPU but must be chosen before the import."""

import os
import subprocess
import sys

import pytest

pytest.importorskip("triton")

CHECK = """
import torch
from nave.clustering.batched import State, Stop, TensorIterations
from nave.clustering.gram import Gram, Points
from nave.clustering.kernels_gpu import FusedIterations
from nave.composite.composite import Block, Composite
from nave.composite.upsampling import operator

def run(iterations, points, steps):
    state = State.start(points, points.gram.further_points())
    for _ in range(steps):
        iterations.advance(state)
    return state, iterations.assign(state)

def check(h, w, scale, cut, K, limit):
    torch.manual_seed(h * w + K)
    size = (h * scale - cut, w * scale - cut)
    rows, cols = (operator(n, n * scale, "bilinear", N, torch.device("cpu")) for n, N in zip((h, w), size))
    composite = Composite((Block(torch.randn(3, 8, h, w), rows, cols),))
    start = torch.randn(3, K, 8)
    start[0, 0] += 100  # empty
    start[1, 1] = start[1, 0] * (1 + 1e-7)  # coincides
    points = Points(composite, Gram.from_composite(composite, start))
    stop = Stop(torch.full((3,), -1.0, dtype=torch.float64), limit)
    (state, assigned), (expected, reference) = (
        run(way, points, 3) for way in (FusedIterations.from_points(points, stop), TensorIterations(points, stop))
    )
    assert torch.equal(assigned.labels, reference.labels)
    torch.testing.assert_close(assigned.counts, reference.counts)
    torch.testing.assert_close(assigned.pooled, reference.pooled, atol=1e-4, rtol=1e-4)
    for name in ("coefficients", "products", "half_norms", "status", "iterations", "changed"):
        torch.testing.assert_close(getattr(state, name)[2], getattr(expected, name)[2], atol=1e-5, rtol=1e-4)
    assert (state.status[:2] == expected.status[:2]).all()
    return state.status.tolist(), state.iterations.tolist()

for case in ((3, 4, 6, 2, 4, 300), (2, 5, 11, 7, 3, 2), (1, 1, 12, 5, 2, 300), (4, 4, 1, 0, 3, 300)):
    print(case, *check(*case))
"""


@pytest.mark.slow  # the interpreter is slow
def test_fused_iterations_equal_those_on_tensors() -> None:
    environment = os.environ | {"TRITON_INTERPRET": "1", "OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "-c", CHECK], env=environment, check=True, timeout=300)
