"""The Triton kernels under Triton's interpreter, which needs no GPU but must be chosen before the import."""

import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from nave.clustering.batched import OLDEST_TRITON, triton_version

if triton_version() < OLDEST_TRITON:
    pytest.skip("needs a newer Triton", allow_module_level=True)
triton = pytest.importorskip("triton")
ROOT = Path(__file__).parents[2]
INTEGERS = {"trials", "tall", "wide", "max_iter", "K", "M", "vectors", "h", "w", "H", "W"}
TYPES = {
    **dict.fromkeys(INTEGERS, "i32"),
    **dict.fromkeys(
        ("mode", "status", "iterations", "changed", "row_start", "col_start", "row_cell", "col_cell"), "*i32"
    ),
    **dict.fromkeys(("limit", "draws", "cumulative"), "*fp64"),
    "labels": "*u8",
}
ITERATE = {"CLUSTERS": 8, "CELLS": 128, "LANES": 2, "VECTOR": 4}


@pytest.mark.parametrize("cases", ["quick", pytest.param("slow", marks=pytest.mark.slow)])
def test_kernels_equal_tensors(cases):
    environment = os.environ | {"TRITON_INTERPRET": "1", "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(ROOT / "tests/clustering/gpu_kernels.py"), cases]  # imports little
    subprocess.run(command, env=environment, check=True, timeout=300)


@pytest.mark.parametrize(
    ("kernel", "constants"),
    [("seeding_gpu.draw", {}), ("lloyd_gpu.iterate", ITERATE)],
)
def test_kernels_compile_while_shapes_are_checked(kernel, constants, tmp_path, monkeypatch):
    """Triton cannot compile the wrapper that checks shapes under pytest; compilation needs no GPU."""
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    module, name = kernel.split(".")
    function = getattr(importlib.import_module(f"nave.clustering.{module}"), name)
    types = {n: "constexpr" if n in constants else TYPES.get(n, "*fp32") for n in function.arg_names}
    source = triton.compiler.ASTSource(fn=function, signature=types, constexprs=constants)
    target = triton.backends.compiler.GPUTarget("cuda", 90, 32)
    compiled = triton.compile(source, target=target, options={"num_warps": 8, "enable_fp_fusion": True})
    assert compiled.metadata.shared < 100_000
