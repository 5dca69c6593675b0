"""Images to learn from: what is drawn for one depends on seed, epoch and image id, never on what came before."""

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from lightning import LightningDataModule
from lightning.pytorch.utilities.seed import isolate_rng
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, DistributedSampler
from torch.utils.data import Dataset as TorchDataset

from nave.data.photograph import Dataset, UnreadableImage
from nave.data.seed import seed_of
from nave.training.targets import Targets

Views = list[Tensor]  # uint8, (3, H, W) each
Transform = Callable[[Image.Image], Views]
Place = tuple[int, int]  # epoch, position


class Images(TorchDataset[tuple[Views, Tensor]]):
    """Views of the images at ``indices`` of ``dataset``, and what they show (an empty tensor where that is unknown)."""

    def __init__(
        self, dataset: Dataset, indices: Sequence[int], targets: Targets | None, transform: Transform, seed: int
    ) -> None:
        self.dataset, self.indices, self.targets = dataset, list(indices), targets
        self.transform, self.seed = transform, seed

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, place: Place) -> tuple[Views, Tensor]:
        epoch, position = place
        index = self.indices[position]
        image_id = self.dataset.image_id(index)
        try:
            image = self.dataset.image(index)
        except UnreadableImage as error:
            raise ValueError(f"{error}: repair the image or take it out of the data set, to train on it") from error
        with drawing(seed_of(self.seed, epoch, image_id)):
            views = self.transform(image)
        return views, torch.empty(0) if self.targets is None else self.targets.values[position]


class Places(DistributedSampler[Any]):
    """Shuffled anew each epoch from the seed, dealt to the processes; tells the data set which epoch it is."""

    def __iter__(self) -> Iterator[Place]:
        return ((self.epoch, position) for position in super().__iter__())


class TrainingData(LightningDataModule):
    """Batches to learn from, and to validate on where there are images for that.

    The last batch of an epoch is left out where it is not full, unless it is the only one: batch statistics of an
    image or two would do harm.
    """

    def __init__(
        self, learnt: Images, validation: Images | None, *, batch_size: int, num_workers: int, seed: int
    ) -> None:
        super().__init__()
        if batch_size < 2:
            raise ValueError(f"batch_size={batch_size}: must be at least 2, batch normalisation needs that")
        self.learnt, self.validation = learnt, validation
        self.batch_size, self.num_workers, self.seed = batch_size, num_workers, seed

    def train_dataloader(self) -> DataLoader[Any]:
        """In an order that depends on seed and epoch."""
        world, rank = self._world()
        places = Places(self.learnt, world, rank, seed=self.seed, drop_last=len(self.learnt) >= world)
        return self._loader(self.learnt, places, drop_last=len(places) >= self.batch_size)

    def val_dataloader(self) -> DataLoader[Any] | list[Any]:
        """In the data set's order; nothing where there are no images for it."""
        return [] if self.validation is None else self.in_order(self.validation)

    def in_order(self, images: Images) -> DataLoader[Any]:
        """Every image once over all processes."""
        world, rank = self._world()
        return self._loader(images, [(0, position) for position in range(rank, len(images), world)], drop_last=False)

    def _world(self) -> tuple[int, int]:
        return (1, 0) if self.trainer is None else (self.trainer.world_size, self.trainer.global_rank)

    def _loader(self, images: Images, sampler: Any, drop_last: bool) -> DataLoader[Any]:
        return DataLoader(
            images,
            self.batch_size,
            sampler=sampler,
            num_workers=self.num_workers,
            drop_last=drop_last,
            pin_memory=torch.cuda.is_available(),
            generator=torch.Generator().manual_seed(self.seed),  # nothing is drawn from the one that dropout uses
            persistent_workers=self.num_workers > 0,
        )


@contextmanager
def drawing(seed: int) -> Iterator[None]:
    """What is drawn inside comes from ``seed`` alone; the generators go on afterwards as if nothing had been drawn."""
    with isolate_rng(include_cuda=False):
        torch.default_generator.manual_seed(seed)
        np.random.seed(seed % 2**32)  # lightly's blur asks this one
        random.seed(seed)
        yield
