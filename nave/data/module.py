"""The one Lightning module around every data set: batches, shards, resumes."""

from collections.abc import Collection, Sequence

import torch
from lightning import LightningDataModule
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from nave.data.batch import Batch, load_batch
from nave.data.batches import batches, shard
from nave.data.photograph import Dataset, Prepared, UnreadableImage

__all__ = ["Batch", "ImageModule"]


class ImageModule(LightningDataModule):
    """Predicts over `dataset`: each image once over all processes, batches of equal size, in a fixed order.

    `image_size`: None for each image's own size, else what every image is resized to (bilinear, antialiased,
    aspect ratio ignored; one integer means a square). `limit`: the first so many images. `skip`: ids done.
    Batches are dealt to the processes here, so the Trainer needs `use_distributed_sampler=False`.
    Raises ValueError for sizes, counts and limits below 1.
    """

    def __init__(
        self,
        dataset: Dataset,
        *,
        image_size: int | Sequence[int] | None = None,
        batch_size: int = 1,
        num_workers: int = 0,
        limit: int | None = None,
        skip: Collection[str] = (),
    ) -> None:
        super().__init__()
        self.dataset = dataset
        self.image_size = _height_width(image_size)
        self.batch_size = _positive("batch_size", batch_size)
        self.num_workers = num_workers
        self.limit = None if limit is None else _positive("limit", limit)
        self.skip = frozenset(skip)
        self.allow_zero_length_dataloader_with_multiple_devices = True  # fewer images than devices

    @property
    def count(self) -> int:
        """Images that all processes together go through."""
        return len(self._indices())

    def prepare_data(self) -> None:
        """Once a machine: fetches the data set where that was asked for, or explains how to get it."""
        if isinstance(self.dataset, Prepared):
            self.dataset.prepare()

    def predict_dataloader(self) -> "DataLoader[Batch]":
        """Of this process alone; the items are batches already, so Lightning has no sampler to replace."""
        rank, world_size = _rank_and_world_size()
        mine = shard(self._batches(), rank, world_size)
        return DataLoader(
            _Batches(self.dataset, mine, self.image_size),
            batch_size=None,
            num_workers=self.num_workers,
            pin_memory=torch.cuda.is_available(),
        )

    def _indices(self) -> list[int]:
        stop = min(len(self.dataset), self.limit or len(self.dataset))
        return [index for index in range(stop) if self.dataset.image_id(index) not in self.skip]

    def _batches(self) -> list[list[int]]:
        indices = self._indices()
        one_size = self.batch_size == 1 or self.image_size is not None  # then no header need be read
        keys = [None if one_size else _size_or_none(self.dataset, index) for index in indices]
        return batches(keys, indices, self.batch_size)


class _Batches(TorchDataset[Batch]):
    def __init__(self, dataset: Dataset, items: list[list[int]], image_size: tuple[int, int] | None) -> None:
        self._dataset, self._items, self._image_size = dataset, items, image_size

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, position: int) -> Batch:
        return load_batch(self._dataset, self._items[position], self._image_size)


def _size_or_none(dataset: Dataset, index: int) -> tuple[int, int] | None:
    try:
        return dataset.size(index)
    except UnreadableImage:
        return None


def _height_width(image_size: int | Sequence[int] | None) -> tuple[int, int] | None:
    if image_size is None:
        return None
    sides = (image_size, image_size) if isinstance(image_size, int) else tuple(image_size)
    if len(sides) != 2 or min(sides) < 1:
        raise ValueError(f"image_size={image_size}: give null (own size), an integer >= 1, or [height, width]")
    return sides[0], sides[1]


def _positive(name: str, value: int) -> int:
    if value < 1:
        raise ValueError(f"{name}={value}: must be at least 1")
    return value


def _rank_and_world_size() -> tuple[int, int]:
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return torch.distributed.get_rank(), torch.distributed.get_world_size()
    return 0, 1
