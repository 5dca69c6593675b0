"""Settings of torch during and after clustering; each in a forked process, as they are the process's."""

import subprocess
import sys

import torch

CHECK = """
import os
import sys

import torch
from nave.clustering.precision import full_precision

def settings():
    yield torch.backends.cuda.matmul.fp32_precision if hasattr(torch.backends.cuda.matmul, "fp32_precision") else None
    for read in (torch.get_float32_matmul_precision, lambda: torch.backends.cuda.matmul.allow_tf32):
        try:
            yield read()
        except RuntimeError:
            yield "refused"

def check(setting):
    exec(setting)
    before = list(settings())
    with full_precision():
        assert not torch.backends.cuda.matmul.allow_tf32
    assert list(settings()) == before or before[0] == "none", (setting, before, list(settings()))

failed = []
for setting in sys.argv[1:]:
    if not (child := os.fork()):
        try:
            check(setting)
        except BaseException as error:
            print(repr(error), file=sys.stderr, flush=True)
            os._exit(1)
        os._exit(0)
    if os.waitpid(child, 0)[1]:
        failed.append(setting)
assert not failed, failed
"""
SETTINGS = [
    "",
    "torch.backends.cuda.matmul.allow_tf32 = True",
    "torch.set_float32_matmul_precision('high')",
    "torch.set_float32_matmul_precision('medium')",
    "torch.backends.cuda.matmul.fp32_precision = 'tf32'",
]


def test_products_are_exact_and_settings_restored():
    known = [one for one in SETTINGS if "fp32_" not in one or hasattr(torch.backends.cuda.matmul, "fp32_precision")]
    subprocess.run([sys.executable, "-c", CHECK, *known], check=True, timeout=120)
