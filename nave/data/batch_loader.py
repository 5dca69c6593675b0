"""Batches that several processes read: each a few images of a batch at a time, into memory that it shares."""

import math
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import chain
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import UInt8

from nave.data.batch import Batch, Part, Shape, empty, joined, load_batch, load_part
from nave.data.input_size import InputSize
from nave.data.interface import Dataset
from nave.processes.crew import Crew

PIECES = 8  # of a batch: the processes share the first one, for which the device waits
LEAST = 8  # images of a piece, unless its batch has fewer
AHEAD = 2  # batches that are read before they are asked for


class Answer(NamedTuple):
    """A piece as it was read; ``shape`` is that of its pixels if they lie in shared memory."""

    part: Part
    shape: Shape | None


class BatchLoader:
    """Reads batches in their order.

    Args:
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
        read = partial(_read, self.dataset, self.input_size)
        crew = Crew[list[int], Answer](read, self.processes, ahead=ahead, work="reads images")
        tasks = chain.from_iterable(split)
        try:
            for batch, parts in zip(self.batches, split, strict=True):
                yield self._assembled(_answers(crew, tasks, len(parts)), len(batch))
        finally:
            crew.stop()

    def _assembled(self, answers: Iterator[tuple[Answer, memoryview]], count: int) -> Batch:
        """A batch of at most ``count`` images."""
        parts, images, filled = [], empty(), 0
        for (part, shape), memory in answers:
            pixels = part.pixels if shape is None else as_pixels(memory, shape)
            if pixels is not None:
                if not filled:
                    images = torch.empty((count, *pixels.shape[1:]), dtype=torch.uint8, pin_memory=self.pinned)
                images.numpy()[filled : filled + len(pixels)] = pixels  # torch would start threads for so little
                filled += len(pixels)
            parts.append(part)
        return joined(parts, images[:filled])


def _answers(
    crew: Crew[list[int], Answer], tasks: Iterator[list[int]], count: int
) -> Iterator[tuple[Answer, memoryview]]:
    """The next ``count`` answers of the processes, which are given tasks meanwhile."""
    for _ in range(count):
        while not crew.full and (task := next(tasks, None)) is not None:
            crew.give(task)
        yield crew.take()


def pieces(batch: Sequence[int]) -> list[list[int]]:
    """A batch in pieces for single processes."""
    size = max(LEAST, math.ceil(len(batch) / PIECES))
    return [list(batch[first : first + size]) for first in range(0, len(batch), size)]


def as_pixels(memory: memoryview, shape: Shape) -> UInt8[np.ndarray, "B 3 H W"]:
    """The first bytes of shared memory."""
    return np.frombuffer(memory, np.uint8, math.prod(shape)).reshape(shape)


def _read(dataset: Dataset, input_size: InputSize, indices: list[int], memory: memoryview) -> Answer:
    """Reads a piece, in another process."""
    shared: list[Shape] = []

    def room(shape: Shape) -> UInt8[np.ndarray, "B 3 H W"]:
        if math.prod(shape) > len(memory):
            return np.empty(shape, np.uint8)
        shared.append(shape)
        return as_pixels(memory, shape)

    part = load_part(dataset, indices, input_size, room)
    if not shared:
        return Answer(part, None)
    part.pixels = None
    return Answer(part, (len(part.sizes), *shared[0][1:]))
