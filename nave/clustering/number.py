"""The number of clusters; without torch, so that a command line is checked before anything else is imported."""

from typing import Literal

NumberOfClusters = int | Literal["auto"]  # auto: chosen for every image, see `elbow`
MAX_K = 255  # labels are written as indexed PNG, one byte per pixel


def check_k(k: int) -> int:
    """Returns ``k``; raises ValueError if ``k`` is not from 1 to 255."""
    if not 1 <= k <= MAX_K:
        raise ValueError(f"k={k}: the number of clusters must be from 1 to {MAX_K}, or auto")
    return k
