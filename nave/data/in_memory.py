"""Images in memory, as passed to ``nave.explain``."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Shaped
from PIL import Image
from torch import Tensor

from nave.data.interface import GroundTruth

Pixels = Shaped[np.ndarray, "..."]
Images = Sequence[Image.Image | Pixels] | Image.Image | Pixels | Tensor


class InMemory:
    """A data set of PIL images, arrays ``(H, W)`` or ``(H, W, 3)``, or a tensor ``(B, 3, H, W)``.

    Arrays and tensors hold uint8, or floats from 0 to 1.

    Raises:
        ValueError: for no images, or an image of another shape or range; names its index.
    """

    name = "memory"

    def __init__(self, images: Images) -> None:
        single = isinstance(images, Image.Image) or (isinstance(images, np.ndarray) and images.ndim <= 3)
        sequence: Any = [images] if single else images
        self._images = [_as_image(image, index) for index, image in enumerate(sequence)]
        if not self._images:
            raise ValueError("no images were given")

    def __len__(self) -> int:
        return len(self._images)

    def image_id(self, index: int) -> str:
        """The position of the image in the input."""
        return str(index)

    def image(self, index: int) -> Image.Image:
        """The image in RGB, 8 bit."""
        return self._images[index]

    def size(self, index: int) -> tuple[int, int]:
        """(height, width)."""
        return self._images[index].height, self._images[index].width

    def truth(self, index: int) -> GroundTruth | None:  # noqa: ARG002 - the signature of Dataset
        """None: images in memory have no ground truth."""
        return None


def _as_image(image: Any, index: int) -> Image.Image:
    if isinstance(image, Image.Image):
        return image.convert("RGB")
    array = image.detach().cpu().movedim(0, -1).numpy() if isinstance(image, torch.Tensor) else np.asarray(image)
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] != 3) or 0 in array.shape:
        raise ValueError(
            f"image {index} has the shape {array.shape}: give PIL images, arrays (H, W) or (H, W, 3), "
            "or a tensor (B, 3, H, W)"
        )
    return Image.fromarray(_as_bytes(array, index)).convert("RGB")


def _as_bytes(array: Pixels, index: int) -> Pixels:
    if array.dtype == np.uint8:
        return array
    if not np.issubdtype(array.dtype, np.floating) or not (array.min() >= 0 and array.max() <= 1):
        raise ValueError(
            f"image {index} holds {array.dtype} from {array.min()} to {array.max()}: give uint8, or floats from "
            "0 to 1 (not normalised; the encoder does that with its own mean and deviation)"
        )
    return (array * 255).round().astype(np.uint8)
