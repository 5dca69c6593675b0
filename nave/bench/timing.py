"""Seconds, and what a table makes of figures."""

import statistics
import time
from collections.abc import Callable

import torch

Figures = dict[str, float | str]


def seconds(function: Callable[[], object]) -> float:
    """Of one call, until the device has finished."""
    start = time.perf_counter()
    function()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - start


def median_seconds(function: Callable[[], object], repeats: int) -> float:
    """The median of ``repeats`` calls after one that is not counted."""
    function()
    return statistics.median(seconds(function) for _ in range(repeats))
