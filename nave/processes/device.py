"""Work of a process on its device: a stream beside the encoder's, the seconds of every stage, copies to the host."""

import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor


@lru_cache
def _stream(device: torch.device) -> torch.cuda.Stream:
    return torch.cuda.Stream(device, priority=-1)  # its few programs must not wait for the encoder's many


class Moment:
    """What a GPU has been told until now; on a CPU nothing is left to wait for."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        if device.type == "cuda":
            self._event = torch.cuda.Event()
            self._event.record(torch.cuda.current_stream(device))

    @contextmanager
    def beside(self) -> Iterator[None]:
        """Runs what follows after this moment, and beside what the GPU is told later.

        The host must wait for the results, as :func:`on_host` does, before it lets go of what was read.
        """
        if self._device.type != "cuda":
            yield
            return
        _stream(self._device).wait_event(self._event)
        with torch.cuda.stream(_stream(self._device)):
            yield


class Stages:
    """Adds up the seconds that stages take on a device; those on one GPU may overlap."""

    def __init__(self) -> None:
        self._seconds: defaultdict[str, float] = defaultdict(float)
        self._open: list[tuple[str, torch.cuda.Event, torch.cuda.Event]] = []

    @contextmanager
    def timed(self, stage: str, device: torch.device) -> Iterator[None]:
        """Times what is computed, or told a GPU, in its body."""
        if device.type != "cuda":
            start = time.perf_counter()
            yield
            self._seconds[stage] += time.perf_counter() - start
            return
        first, last = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        first.record()
        yield
        last.record()
        self._open.append((stage, first, last))
        self._close([ended for ended in self._open if ended[2].query()])

    def add(self, stage: str, seconds: float) -> None:
        """Adds what was timed elsewhere."""
        self._seconds[stage] += seconds

    @property
    def seconds(self) -> dict[str, float]:
        """Seconds by stage, once the GPU has ended what it was told."""
        for _, _, last in self._open:
            last.synchronize()
        self._close(self._open)
        return dict(self._seconds)

    def _close(self, ended: Sequence[tuple[str, torch.cuda.Event, torch.cuda.Event]]) -> None:
        for stage, first, last in ended:
            self._seconds[stage] += first.elapsed_time(last) / 1e3
        self._open = [one for one in self._open if one not in ended]


def on_host(tensors: Sequence[Tensor]) -> list[np.ndarray]:
    """Copies tensors to the CPU, on CUDA into page-locked memory and with one synchronisation for all."""
    if not tensors[0].is_cuda:
        return [tensor.numpy() for tensor in tensors]
    copies = [torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True) for tensor in tensors]
    for copy, tensor in zip(copies, tensors, strict=True):
        copy.copy_(tensor, non_blocking=True)
    torch.cuda.current_stream(tensors[0].device).synchronize()
    return [copy.numpy() for copy in copies]
