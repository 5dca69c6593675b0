"""What travels from the data loader to the model: images of one size and what belongs to them."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image
from torch import Tensor

from nave.data.photograph import Dataset, Truth, UnreadableImage


class Batch:
    """Images of one size. The lists run along `images`, but for `unreadable`, which may be all that there is.

    `indices` are positions in the data set, `sizes` the original (height, width), `unreadable` holds
    (index, image id, reason). No dataclass: under mixed precision Lightning takes those apart, and it refuses
    the frozen ones in `truths`.
    """

    def __init__(
        self,
        image_ids: list[str],
        indices: list[int],
        images: UInt8[Tensor, "B 3 H W"],
        sizes: list[tuple[int, int]],
        truths: list[Truth | None],
        unreadable: list[tuple[int, str, str]],
    ) -> None:
        self.image_ids, self.indices, self.images = image_ids, indices, images
        self.sizes, self.truths, self.unreadable = sizes, truths, unreadable

    def to(self, device: torch.device | str, non_blocking: bool = False) -> "Batch":
        """Lightning moves batches with this."""
        return self._with(self.images.to(device, non_blocking=non_blocking))

    def pin_memory(self) -> "Batch":
        """The data loader pins batches with this."""
        return self._with(self.images.pin_memory())

    def _with(self, images: UInt8[Tensor, "B 3 H W"]) -> "Batch":
        return Batch(self.image_ids, self.indices, images, self.sizes, self.truths, self.unreadable)


def load_batch(dataset: Dataset, indices: Sequence[int], image_size: tuple[int, int] | None = None) -> Batch:
    """Decodes `indices`, resized to `image_size` (height, width) if given; they must then agree in size."""
    images: dict[int, Image.Image] = {}
    unreadable: list[tuple[int, str, str]] = []
    for index in indices:
        try:
            images[index] = dataset.image(index)
        except UnreadableImage as error:
            unreadable.append((index, error.image_id, error.reason))
    return Batch(
        image_ids=[dataset.image_id(index) for index in images],
        indices=list(images),
        images=_stack([_resized(image, image_size) for image in images.values()]),
        sizes=[(image.height, image.width) for image in images.values()],
        truths=[dataset.truth(index) for index in images],
        unreadable=unreadable,
    )


def _stack(images: list[Image.Image]) -> UInt8[Tensor, "B 3 H W"]:
    if not images:
        return torch.empty((0, 3, 0, 0), dtype=torch.uint8)
    return torch.stack([torch.from_numpy(np.array(image)).permute(2, 0, 1) for image in images])


def _resized(image: Image.Image, size: tuple[int, int] | None) -> Image.Image:
    return image if size is None else image.resize((size[1], size[0]), Image.Resampling.BILINEAR)
