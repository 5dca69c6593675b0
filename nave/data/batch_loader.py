"""Batches that several processes read: each a few images of a batch at a time, into memory that all of them share."""

import math
import mmap
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import UInt8
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from nave.data.batch import Batch, Part, Shape, empty, joined, load_batch, load_part
from nave.data.input_size import InputSize
from nave.data.interface import Dataset, MalformedDataError
from nave.processes.pool import begin_reading

PIECES = 8  # of a batch: the processes share the first one, for which the device waits
LEAST = 4  # images of a piece, unless its batch has fewer: to hand one over takes about half a millisecond
AHEAD = 2  # batches that are read before they are asked for
SLOT = 4 << 20  # bytes of shared memory for a piece; what is larger, such as eight images of 500 x 375, is sent
FORKS = sys.platform == "linux"


class Task(NamedTuple):
    """A piece of a batch, and the slot for its pixels; without one they are sent."""

    indices: list[int]
    slot: int | None


class Answer(NamedTuple):
    """A piece as it was read; ``shape`` is that of its pixels if they lie in the slot."""

    part: Part
    slot: int | None
    shape: Shape | None


class Slots:
    """Memory that forked processes share: no file and no limit of ``/dev/shm``, and its pages are made once."""

    def __init__(self, count: int) -> None:
        self._memory = np.frombuffer(mmap.mmap(-1, count * SLOT), np.uint8).reshape(count, SLOT)

    def view(self, slot: int, shape: Shape) -> UInt8[np.ndarray, "B 3 H W"]:
        """The first bytes of a slot, as pixels."""
        return self._memory[slot, : math.prod(shape)].reshape(shape)


@dataclass(frozen=True)
class Failure:
    """An error on its way from the process that has met it, which would replace its message by a traceback."""

    error: MalformedDataError


class RaisingLoader(DataLoader[Any]):
    """A data loader that raises the error of a Failure among its batches."""

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        for batch in super().__iter__():
            if isinstance(batch, Failure):
                raise batch.error
            yield batch


class BatchLoader:
    """Reads batches in their order.

    Args:
        dataset: the images.
        batches: positions in the data set.
        input_size: the size to resize to, equal for all images of a batch.
        processes: their number; 0 reads in this process.
        pinned: whether images are put into page-locked memory, from which a GPU copies while it computes.
    """

    def __init__(
        self,
        dataset: Dataset,
        batches: Sequence[Sequence[int]],
        input_size: InputSize,
        *,
        processes: int,
        pinned: bool = False,
    ) -> None:
        self.dataset, self.batches, self.input_size = dataset, batches, input_size
        self.processes, self.pinned = processes, pinned

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[Batch]:
        """Raises MalformedDataError for an invalid annotation, when the turn of its batch has come."""
        if self.processes:
            return self._from_processes()
        return (self._pinned(load_batch(self.dataset, batch, self.input_size)) for batch in self.batches)

    def _pinned(self, batch: Batch) -> Batch:
        return batch.pin_memory() if self.pinned else batch

    def _from_processes(self) -> Iterator[Batch]:
        split = [pieces(batch) for batch in self.batches]
        ahead = max(2, math.ceil(AHEAD * max(map(len, split), default=0) / self.processes))
        count = self.processes * ahead + 1 if FORKS else 0  # one piece arrives while the next one is begun
        slots, free = (Slots(count) if count else None), list(range(count))
        loader = RaisingLoader(
            _Reader(self.dataset, self.input_size, slots),
            batch_size=None,
            sampler=(Task(piece, free.pop() if free else None) for batch in split for piece in batch),
            num_workers=self.processes,
            prefetch_factor=ahead,
            collate_fn=_unchanged,  # the usual one makes tensors of arrays
            worker_init_fn=begin_reading,
            multiprocessing_context="fork" if FORKS else None,
        )
        answers = iter(loader)
        for batch, parts in zip(self.batches, split, strict=True):
            yield self._assembled(islice(answers, len(parts)), len(batch), slots, free)

    def _assembled(self, answers: Iterator[Answer], count: int, slots: Slots | None, free: list[int]) -> Batch:
        """A batch of at most ``count`` images; the slots of its pieces are free then."""
        parts, images, filled = [], empty(), 0
        for part, slot, shape in answers:
            pixels = part.pixels if slots is None or slot is None or shape is None else slots.view(slot, shape)
            if pixels is not None:
                if not filled:
                    images = torch.empty((count, *pixels.shape[1:]), dtype=torch.uint8, pin_memory=self.pinned)
                images[filled : filled + len(pixels)] = torch.from_numpy(pixels)
                filled += len(pixels)
            if slot is not None:
                free.append(slot)
            parts.append(part)
        return joined(parts, images[:filled])


def pieces(batch: Sequence[int]) -> list[list[int]]:
    """A batch in pieces for single processes."""
    size = max(LEAST, math.ceil(len(batch) / PIECES))
    return [list(batch[first : first + size]) for first in range(0, len(batch), size)]


class _Reader(TorchDataset[Answer | Failure]):
    """Reads pieces, in a process of the data loader."""

    def __init__(self, dataset: Dataset, input_size: InputSize, slots: Slots | None) -> None:
        self._dataset, self._input_size, self._slots = dataset, input_size, slots

    def __getitem__(self, task: Task) -> Answer | Failure:
        shared: list[Shape] = []

        def room(shape: Shape) -> UInt8[np.ndarray, "B 3 H W"]:
            if self._slots is None or task.slot is None or math.prod(shape) > SLOT:
                return np.empty(shape, np.uint8)
            shared.append(shape)
            return self._slots.view(task.slot, shape)

        try:
            part = load_part(self._dataset, task.indices, self._input_size, room)
        except MalformedDataError as error:
            return Failure(error)
        if not shared:
            return Answer(part, task.slot, None)
        part.pixels = None
        return Answer(part, task.slot, (len(part.sizes), *shared[0][1:]))


def _unchanged(answer: Any) -> Any:
    return answer
