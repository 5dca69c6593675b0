"""The Lightning data module for every data set: batches of equal size, dealt to the processes."""

from collections.abc import Callable, Collection, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8
from lightning import LightningDataModule
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from nave.data.input_size import InputSize
from nave.data.interface import (
    Content,
    Dataset,
    GroundTruth,
    MalformedDataError,
    UnreadableImageError,
    files_of,
    meaning_of,
    prepare,
)
from nave.data.pixels import remarks
from nave.processes.distributed import share_of_cores
from nave.processes.pool import FEW, as_child, each

AUTO = "auto"
OWN_SIZE = InputSize()
MANY = 256  # headers that are worth processes of their own
LARGEST, PIXELS = 64, 64 * 224 * 224  # images and pixels of a batch on a GPU


class Batch:
    """Images of equal size; ``image_ids``, ``indices``, ``sizes`` and ``truths`` have one entry per image.

    Args:
        image_ids: ids of the images.
        indices: their positions in the data set.
        images: uint8, ``(B, 3, H, W)``; B is 0 if no image of the batch could be read.
        sizes: the original (height, width).
        truths: the ground truth, None where it is unknown.
        unreadable: (index, image id, reason) of the images that could not be read.
        contents: what each of all these images was read from, by its position in the data set.
    """

    # not a dataclass: under mixed precision Lightning copies dataclasses, and fails on the frozen ones in truths

    def __init__(
        self,
        image_ids: list[str],
        indices: list[int],
        images: UInt8[Tensor, "B 3 H W"],
        sizes: list[tuple[int, int]],
        truths: list[GroundTruth | None],
        unreadable: list[tuple[int, str, str]],
        contents: Mapping[int, Content] | None = None,
    ) -> None:
        self.image_ids, self.indices, self.images = image_ids, indices, images
        self.sizes, self.truths, self.unreadable, self.contents = sizes, truths, unreadable, contents or {}

    def to(self, device: torch.device | str, non_blocking: bool = False) -> "Batch":
        """The batch with its images on ``device``; called by Lightning."""
        return self._with(self.images.to(device, non_blocking=non_blocking or self.images.is_pinned()))

    def pin_memory(self) -> "Batch":
        """The batch in page-locked memory; called by the data loader."""
        return self._with(self.images.pin_memory())

    def _with(self, images: UInt8[Tensor, "B 3 H W"]) -> "Batch":
        return Batch(self.image_ids, self.indices, images, self.sizes, self.truths, self.unreadable, self.contents)


def load_batch(dataset: Dataset, indices: Sequence[int], input_size: InputSize = OWN_SIZE) -> Batch:
    """Decodes the images at ``indices``.

    Args:
        dataset: the data set.
        indices: positions in the data set.
        input_size: the size to resize to, which must be equal for all.
    """
    images: dict[int, Image.Image] = {}
    unreadable: list[tuple[int, str, str]] = []
    contents: dict[int, Content] = {}
    truths: dict[int, GroundTruth | None] = {}
    for index in indices:
        contents[index] = content = files_of(dataset, index)
        try:
            image, truth = dataset.image(index), dataset.truth(index)
        except UnreadableImageError as error:
            unreadable.append((index, error.image_id, error.reason))
            continue
        images[index], truths[index] = image, truth
        contents[index] = content | meaning_of(dataset, index, truth, image)
        if noted := remarks(image):
            contents[index]["remarks"] = list(noted)
    return Batch(
        image_ids=[dataset.image_id(index) for index in images],
        indices=list(images),
        images=_stack([_resized(image, input_size) for image in images.values()]),
        sizes=[(image.height, image.width) for image in images.values()],
        truths=list(truths.values()),
        unreadable=unreadable,
        contents=contents,
    )


def _stack(images: list[Image.Image]) -> UInt8[Tensor, "B 3 H W"]:
    if not images:
        return torch.empty((0, 3, 0, 0), dtype=torch.uint8)
    return torch.stack([torch.from_numpy(np.array(image)).permute(2, 0, 1) for image in images])


def _resized(image: Image.Image, input_size: InputSize) -> Image.Image:
    height, width = input_size((image.height, image.width))
    return image if image.size == (width, height) else image.resize((width, height), Image.Resampling.BILINEAR)


def batches(
    keys: Sequence[Hashable], indices: Sequence[int], batch_size: int | Callable[[Any], int]
) -> list[list[int]]:
    """Groups ``indices`` into batches of at most ``batch_size`` with equal keys; each index appears exactly once.

    Full batches come first, in the order in which they are filled; incomplete ones follow in the order of their first
    index. The order of ``indices`` is kept inside a batch.

    Args:
        keys: the key of each index, such as its image size.
        indices: positions in the data set.
        batch_size: the largest number of indices in a batch; a function computes it from the key.
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

    The batches are dealt to the processes here, so the Trainer needs ``use_distributed_sampler=False``.

    Args:
        dataset: the images.
        image_size: None keeps each image's own size; else every image is resized to (height, width), or to a square
            for one integer (bilinear, antialiased, aspect ratio ignored).
        longer_side: pixels to which the longer side of a larger image is reduced, the aspect kept; None: no limit.
        batch_size: the largest number of images in a batch; ``auto``: one on a CPU; on a GPU up to 64, as many as have
            the pixels of 64 images of 224 x 224.
        num_workers: processes that load images; ``auto``: as many as there are cores, and none for a few images.
        limit: use only the first ``limit`` images.
        skip: positions of images to leave out; batches in which any other is left stay whole, as what else is in a
            batch may affect an encoder's rounding.

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
        self.batch_size = batch_size if batch_size == AUTO else _positive("batch_size", batch_size)
        self.num_workers = num_workers if num_workers == AUTO else _count("num_workers", num_workers)
        self.limit = None if limit is None else _positive("limit", limit)
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

    def predict_dataloader(self) -> DataLoader[Any]:
        """The batches of this process."""
        items = shard(self._batches(), *_rank_and_world_size())
        return RaisingLoader(
            _Batches(self.dataset, items, self.input_size),
            batch_size=None,  # the items are batches already, so Lightning has no sampler to replace
            num_workers=self._workers(items),
            worker_init_fn=as_child,
            pin_memory=self._on_gpu,
        )

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
        return min(self._cores, len(items)) if self._on_gpu else 1  # on a CPU the encoder needs the others

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


class _Batches(TorchDataset["Batch | Failure"]):
    def __init__(self, dataset: Dataset, items: list[list[int]], input_size: InputSize) -> None:
        self._dataset, self._items, self._input_size = dataset, items, input_size

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, position: int) -> "Batch | Failure":
        try:
            return load_batch(self._dataset, self._items[position], self._input_size)
        except MalformedDataError as error:
            return Failure(error)


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


def size_or_none(dataset: Dataset, index: int) -> tuple[int, int] | None:
    """The (height, width) of an image; None where loading it will say what is wrong, when its turn has come."""
    try:
        return dataset.size(index)
    except (UnreadableImageError, MalformedDataError):
        return None


def _positive(name: str, value: int | str) -> int:
    if isinstance(value, str) or value < 1:
        raise ValueError(f"{name}={value}: must be at least 1{'' if name == 'limit' else ', or auto'}")
    return value


def _count(name: str, value: int | str) -> int:
    if isinstance(value, str) or value < 0:
        raise ValueError(f"{name}={value}: must be at least 0, or auto")
    return value


def _rank_and_world_size() -> tuple[int, int]:
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return torch.distributed.get_rank(), torch.distributed.get_world_size()
    return 0, 1
