"""The Lightning data module for every data set: batches of equal size, dealt to the processes."""

from collections.abc import Callable, Collection, Hashable, Sequence
from functools import partial
from typing import Any

import torch
from lightning import LightningDataModule

from nave.data.batch_loader import BatchLoader
from nave.data.input_size import InputSize
from nave.data.interface import Dataset, MalformedDataError, UnreadableImageError, prepare
from nave.limits import within
from nave.processes.distributed import share_of_cores
from nave.processes.pool import FEW, each, readers

AUTO = "auto"
MANY = 4096  # headers that are worth processes of their own: to fork one takes as long as to read some hundred
LARGEST, PIXELS = 64, 64 * 224 * 224  # images and pixels of a batch on a GPU


def batches(
    keys: Sequence[Hashable], indices: Sequence[int], batch_size: int | Callable[[Any], int]
) -> list[list[int]]:
    """Groups ``indices`` into batches of at most ``batch_size`` with equal keys; each index appears exactly once.

    Full batches come first, in the order in which they are filled; incomplete ones follow in the order of their first
    index. The order of ``indices`` is kept inside a batch. A function computes ``batch_size`` from the key.
    """
    open_batches: dict[Hashable, list[int]] = {}
    complete: list[list[int]] = []
    for key, index in zip(keys, indices, strict=True):
        batch = open_batches.setdefault(key, [])
        batch.append(index)
        if len(batch) == (batch_size(key) if callable(batch_size) else batch_size):
            complete.append(open_batches.pop(key))
    return complete + list(open_batches.values())


def shard(all_batches: list[list[int]], rank: int, world_size: int) -> list[list[int]]:
    """The batches of process ``rank``: every ``world_size``-th one, so that each batch goes to exactly one process."""
    return all_batches[rank::world_size]


class ImageModule(LightningDataModule):
    """Batches for ``Trainer.predict``: each image once over all processes, images of equal size, in a fixed order.

    The batches are dealt to the processes here, so the Trainer needs ``use_distributed_sampler=False``. What the
    options mean is said under ``loader`` in ``conf/config.yaml``; images are resized bilinearly, antialiased. Batches
    in which any image is left beside those to ``skip`` (positions) stay whole, as what else is in a batch may affect an
    encoder's rounding.

    Raises:
        ValueError: for sizes, counts and limits below 1.
    """

    def __init__(
        self,
        dataset: Dataset,
        *,
        image_size: int | Sequence[int] | None,
        longer_side: int | None,
        batch_size: int | str,
        num_workers: int | str,
        limit: int | None,
        skip: Collection[int] = (),
    ) -> None:
        super().__init__()
        self.dataset = dataset
        self.input_size = InputSize.of(image_size, longer_side)
        self.batch_size: int | str = within("loader.batch_size", batch_size)
        self.num_workers: int | str = within("loader.num_workers", num_workers)
        self.limit: int | None = within("loader.limit", limit)
        self.skip = frozenset(skip)
        self.allow_zero_length_dataloader_with_multiple_devices = True  # fewer images than devices

    @property
    def count(self) -> int:
        """Number of images over all processes, without those to leave out."""
        return len(self.left)

    @property
    def left(self) -> list[int]:
        """Positions in the data set of these images."""
        return self._left(self._indices())

    def prepare_data(self) -> None:
        """Prepares the data set, once per machine; called by Lightning."""
        prepare(self.dataset)

    def predict_dataloader(self) -> BatchLoader:
        """The batches of this process."""
        items = shard(self._batches(), *_rank_and_world_size())
        return BatchLoader(self.dataset, items, self.input_size, processes=self._workers(items), pinned=self._on_gpu)

    @property
    def _on_gpu(self) -> bool:
        return torch.cuda.is_available() if self.trainer is None else self.trainer.strategy.root_device.type == "cuda"

    def one_by_one(self, device: torch.device) -> bool:
        """Whether every image is a batch of its own where ``device`` computes."""
        return self.batch_size == 1 or (self.batch_size == AUTO and device.type == "cpu")

    @property
    def _cores(self) -> int:
        return share_of_cores(1 if self.trainer is None else self.trainer.num_devices)

    def _workers(self, items: list[list[int]]) -> int:
        if self.num_workers != AUTO:
            return int(self.num_workers)
        if self.trainer is None or sum(map(len, items)) < FEW:
            return 0
        return (
            min(readers(self._cores), sum(map(len, items))) if self._on_gpu else 1
        )  # on a CPU the encoder needs others

    def _indices(self) -> list[int]:
        stop = min(len(self.dataset), self.limit or len(self.dataset))
        return list(range(stop))

    def _left(self, indices: Sequence[int]) -> list[int]:
        return [index for index in indices if index not in self.skip]

    def _batches(self) -> list[list[int]]:
        return [batch for batch in self._all_batches() if self._left(batch)]

    def _all_batches(self) -> list[list[int]]:
        indices = self._indices()
        if (fixed := self.input_size.fixed) is not None:
            return batches([fixed] * len(indices), indices, self._size_of_batch)
        if self._size_of_batch(None) == 1:  # then no header has to be read
            return [[index] for index in indices]
        return batches(self._sizes(indices), indices, self._size_of_batch)

    def _size_of_batch(self, image_size: tuple[int, int] | None) -> int:
        if self.batch_size != AUTO:
            return int(self.batch_size)
        if not self._on_gpu:
            return 1
        return LARGEST if image_size is None else max(1, min(LARGEST, PIXELS // (image_size[0] * image_size[1])))

    def _sizes(self, indices: list[int]) -> list[tuple[int, int] | None]:
        """The sizes at which images are explained, from their headers, which several processes read."""
        own = each(partial(size_or_none, self.dataset), indices, processes=0 if len(indices) < MANY else self._cores)
        return [None if size is None else self.input_size(size) for size in own]


def size_or_none(dataset: Dataset, index: int) -> tuple[int, int] | None:
    """The (height, width) of an image; None where loading it will say what is wrong, when its turn has come."""
    try:
        return dataset.size(index)
    except (UnreadableImageError, MalformedDataError):
        return None


def _rank_and_world_size() -> tuple[int, int]:
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return torch.distributed.get_rank(), torch.distributed.get_world_size()
    return 0, 1
