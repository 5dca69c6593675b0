"""Training images: the random augmentation of an image depends only on seed, epoch and image id."""

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from lightning import LightningDataModule
from lightning.pytorch.utilities.seed import isolate_rng
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, DistributedSampler, default_collate
from torch.utils.data import Dataset as TorchDataset
from torchvision.transforms import v2

from nave.data.interface import Dataset, MalformedDataError, UnreadableImageError
from nave.data.seed import seed_of
from nave.training.classifier import Targets

Views = list[Tensor]  # uint8, (3, H, W) each
Transform = Callable[[Image.Image], Views]
Item = tuple[int, int]  # epoch, position


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


class TrainingImages(TorchDataset[tuple[Views, Tensor]]):
    """Augmented views of images, and their targets; its keys are pairs of epoch and position.

    Args:
        indices: the images' positions in the data set.
        targets: of the images, in the order of ``indices``; None if unknown, which gives empty tensors.
    """

    def __init__(
        self, dataset: Dataset, indices: Sequence[int], targets: Targets | None, transform: Transform, seed: int
    ) -> None:
        self.dataset, self.indices, self.targets = dataset, list(indices), targets
        self.transform, self.seed = transform, seed

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, item: Item) -> tuple[Views, Tensor]:
        epoch, position = item
        index = self.indices[position]
        image_id = self.dataset.image_id(index)
        try:
            image = self.dataset.image(index)
        except UnreadableImageError as error:
            raise MalformedDataError(f"{error}: repair the image or take it out of the data set") from error
        with seeded(seed_of(self.seed, epoch, image_id)):
            views = self.transform(image)
        return views, torch.empty(0) if self.targets is None else self.targets.values[position]

    def __getitems__(self, items: Sequence[Item]) -> list[tuple[Views, Tensor]] | Failure:
        """The images of a batch; called by the data loader, if need be in another process."""
        try:
            return [self[item] for item in items]
        except MalformedDataError as error:
            return Failure(error)


def _collated(images: list[tuple[Views, Tensor]] | Failure) -> Any:
    return images if isinstance(images, Failure) else default_collate(images)


class EpochSampler(DistributedSampler[Any]):
    """Shuffles the positions for each epoch and deals them to the processes; yields pairs of epoch and position."""

    def __iter__(self) -> Iterator[Item]:
        return ((self.epoch, position) for position in super().__iter__())


class TrainingData(LightningDataModule):
    """Batches for training and validation.

    An incomplete last batch of an epoch is dropped, unless it is the only one: the batch statistics of one or two
    images would harm the network.

    Args:
        batch_size: images per process and step.

    Raises:
        ValueError: for a batch size below 2.
    """

    def __init__(
        self, train: TrainingImages, validation: TrainingImages | None, *, batch_size: int, num_workers: int, seed: int
    ) -> None:
        super().__init__()
        if batch_size < 2:
            raise ValueError(f"batch_size={batch_size}: must be at least 2, for batch normalisation")
        self.train, self.validation = train, validation
        self.batch_size, self.num_workers, self.seed = batch_size, num_workers, seed

    def train_dataloader(self) -> DataLoader[Any]:
        """The training images in an order that depends on seed and epoch."""
        world, rank = self._world()
        sampler = EpochSampler(self.train, world, rank, seed=self.seed, drop_last=len(self.train) >= world)
        return self._loader(self.train, sampler, drop_last=len(sampler) >= self.batch_size)

    def val_dataloader(self) -> DataLoader[Any] | list[Any]:
        """The validation images in the data set's order; empty if there are none.

        Without targets, the loss of the scheme compares the images of a batch, so batches are whole and equally many
        in each process, as those of the training.
        """
        if self.validation is None:
            return []
        return self.in_order(self.validation) if self.validation.targets else self._equal_batches(self.validation)

    def _equal_batches(self, images: TrainingImages) -> DataLoader[Any]:
        world, rank = self._world()
        count = max(1, len(images) // world)
        positions = [(0, position % len(images)) for position in range(rank, world * count, world)]
        return self._loader(images, positions, drop_last=count >= self.batch_size)

    def in_order(self, images: TrainingImages) -> DataLoader[Any]:
        """Every image once over all processes, in the data set's order."""
        world, rank = self._world()
        return self._loader(images, [(0, position) for position in range(rank, len(images), world)], drop_last=False)

    def _world(self) -> tuple[int, int]:
        return (1, 0) if self.trainer is None else (self.trainer.world_size, self.trainer.global_rank)

    def _loader(self, images: TrainingImages, sampler: Any, drop_last: bool) -> DataLoader[Any]:
        return RaisingLoader(
            images,
            self.batch_size,
            sampler=sampler,
            num_workers=self.num_workers,
            drop_last=drop_last,
            collate_fn=_collated,
            pin_memory=torch.cuda.is_available(),
            generator=torch.Generator().manual_seed(self.seed),  # the default one belongs to dropout
            persistent_workers=self.num_workers > 0,
        )


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seeds the generators of torch, NumPy and Python, and restores their states afterwards."""
    with isolate_rng(include_cuda=False):
        torch.default_generator.manual_seed(seed)
        np.random.seed(seed % 2**32)  # for lightly's blur
        random.seed(seed)
        yield


def single_view(augmentation: Callable[[Image.Image], Image.Image]) -> Transform:
    """A transform that makes one view, by a torchvision transform of PIL images."""
    to_tensor = v2.PILToTensor()
    return lambda image: [to_tensor(augmentation(image))]


def resized(image_size: int) -> Transform:
    """The whole image as a square, its aspect ratio ignored, as ``image_size`` of ``nave.run`` does it."""
    return single_view(v2.Resize((image_size, image_size)))


def as_uint8(transform: Callable[[Image.Image], Any]) -> Transform:
    """A transform of lightly, whose views are floats from 0 to 1, with views in uint8."""
    return lambda image: [(view * 255).round().to(torch.uint8) for view in transform(image)]
