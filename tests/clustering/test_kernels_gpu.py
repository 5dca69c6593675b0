"""The Triton kernels under Triton's interpreter, which needs no GPU but must be chosen before the import."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
pytest.importorskip("triton")


@pytest.mark.parametrize("cases", ["quick", pytest.param("slow", marks=pytest.mark.slow)])
def test_kernels_equal_tensors(cases):
    environment = os.environ | {"TRITON_INTERPRET": "1", "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(ROOT / "tests/clustering/gpu_kernels.py"), cases]  # imports little
    subprocess.run(command, env=environment, check=True, timeout=300)
