"""Settings of torch during and after clustering; each in a process of its own, as they are the process's."""

import subprocess
import sys

import pytest
import torch

CHECK = """
import torch
from nave.clustering.precision import full_precision

def settings():
    yield torch.backends.cuda.matmul.fp32_precision if hasattr(torch.backends.cuda.matmul, "fp32_precision") else None
    for read in (torch.get_float32_matmul_precision, lambda: torch.backends.cuda.matmul.allow_tf32):
        try:
            yield read()
        except RuntimeError:
            yield "refused"

{set}
before = list(settings())
with full_precision():
    assert not torch.backends.cuda.matmul.allow_tf32
assert list(settings()) == before or before[0] == "none", (before, list(settings()))
"""


@pytest.mark.parametrize(
    "setting",
    [
        "",
        "torch.backends.cuda.matmul.allow_tf32 = True",
        pytest.param("torch.set_float32_matmul_precision('high')", marks=pytest.mark.slow),
        pytest.param("torch.set_float32_matmul_precision('medium')", marks=pytest.mark.slow),
        "torch.backends.cuda.matmul.fp32_precision = 'tf32'",
    ],
)
def test_products_are_exact_and_settings_restored(setting):
    if "fp32_precision" in setting and not hasattr(torch.backends.cuda.matmul, "fp32_precision"):
        pytest.skip("needs a newer torch")
    subprocess.run([sys.executable, "-c", CHECK.replace("{set}", setting)], check=True, timeout=120)
