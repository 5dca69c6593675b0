"""Float32 matrix products on a GPU in float32, whatever the process has allowed."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def full_precision() -> Iterator[None]:
    """Leaves out TF32, whose ten bits are too few for distances; afterwards all settings are as before.

    Torch has two interfaces for the same setting, and refuses to read the older one once the newer one is in use.
    """
    matmul = torch.backends.cuda.matmul
    try:
        before = torch.get_float32_matmul_precision()
    except RuntimeError:
        newer = matmul.fp32_precision
        matmul.fp32_precision = "ieee"
        try:
            yield
        finally:
            matmul.fp32_precision = newer
        return
    matmul.allow_tf32 = False
    try:
        yield
    finally:
        if before != "highest":
            matmul.allow_tf32 = True
        if before == "medium":
            torch.set_float32_matmul_precision(before)
