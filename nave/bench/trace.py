"""Reads a trace of torch's profiler: how much the GPU works, and what it is told."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from nave.bench.end_to_end import Figures

Event = Mapping[str, Any]  # of the Chrome trace format: name, cat, ts and dur in microseconds
WORK = ("kernel", "gpu_memcpy", "gpu_memset")
CALLS = ("cuda_runtime", "cuda_driver")
SHOWN, WIDTH = 6, 60


def summary(events: Iterable[Event], batches: int) -> Figures:
    """Figures per batch, from the beginning of the first kernel to the end of the last.

    The share is that of the time in which at least one kernel or copy runs; the profiler slows the host, so it is a
    lower bound.
    """
    known = [event for event in events if event.get("cat") in (*WORK, *CALLS)]
    kernels = [event for event in known if event["cat"] == "kernel"]
    if not kernels:
        raise ValueError("the profiler has seen no kernel on the GPU")
    start, stop = min(event["ts"] for event in kernels), max(map(_end, kernels))
    inside = [event for event in known if start <= event["ts"] <= stop]
    calls = [event["name"] for event in inside if event["cat"] in CALLS]
    working = _union([event for event in inside if event["cat"] in WORK])
    return {
        "launches_per_batch": sum("launch" in name.lower() for name in calls) / batches,
        "synchronisations_per_batch": sum("synchronize" in name.lower() for name in calls) / batches,
        "copies_to_host_per_batch": sum("DtoH" in event["name"] for event in inside) / batches,
        "gpu_milliseconds_per_batch": working / 1e3 / batches,
        "gpu_share": working / (stop - start),
        "longest_kernels": _longest(kernels),
    }


def _end(event: Event) -> float:
    return float(event["ts"] + event["dur"])


def _union(events: Sequence[Event]) -> float:
    """Microseconds in which at least one of the events lasts."""
    total, reached = 0.0, float("-inf")
    for event in sorted(events, key=lambda event: event["ts"]):
        total += max(0.0, _end(event) - max(reached, event["ts"]))
        reached = max(reached, _end(event))
    return total


def _longest(kernels: Sequence[Event]) -> str:
    """The kernels that take most of the kernels' time, with their share and number."""
    spent: Counter[str] = Counter()
    for kernel in kernels:
        spent[kernel["name"]] += kernel["dur"]
    number, whole = Counter(kernel["name"] for kernel in kernels), sum(spent.values()) or 1
    return "; ".join(f"{t / whole:.1%} {number[name]}x {name[:WIDTH]}" for name, t in spent.most_common(SHOWN))
