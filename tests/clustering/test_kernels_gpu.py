"""The Triton kernel under Triton's interpreter, which needs no GPU but must be chosen before the import."""

import os
import subprocess
import sys

import pytest

pytest.importorskip("triton")

CHECK = """
import torch
from nave.clustering.steps import FusedStepper, TensorStepper, interpolation_weights
from tests.helpers.parts import activations, composer

def check(h, w, scale, cut, K):
    torch.manual_seed(h * w + K)
    padded = (h * scale, w * scale)
    composite = composer()(activations([torch.randn(2, 8, h, w)], padded, (padded[0] - cut, padded[1] - cut)))
    block = composite.blocks[0]
    fused = FusedStepper(composite, *(interpolation_weights(axis.numpy()) for axis in (block.rows, block.cols)))
    centroids = torch.randn(2, K, 8)
    got, expected = fused(centroids), TensorStepper(composite)(centroids)
    assert torch.equal(got.labels, expected.labels)
    torch.testing.assert_close(got.counts, expected.counts, atol=1e-3, rtol=1e-4)
    torch.testing.assert_close(got.sums, expected.sums, atol=1e-2, rtol=1e-3)

for case in ((3, 4, 14, 2, 5), (2, 5, 32, 10, 3), (1, 1, 32, 12, 2), (4, 4, 1, 0, 3)):
    check(*case)
"""


@pytest.mark.slow  # the interpreter is slow
def test_the_fused_step_equals_the_step_on_tensors() -> None:
    environment = os.environ | {"TRITON_INTERPRET": "1", "OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "-c", CHECK], env=environment, check=True, timeout=300)
