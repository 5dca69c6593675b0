"""From an image of any size to the network's input, in 8 bit: the encoder normalises."""

from collections.abc import Callable
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms import v2

from nave.training.images import Transform


def one_view(augmentation: Callable[[Image.Image], Image.Image]) -> Transform:
    """A torchvision transform of PIL images, as the one view of an image."""
    to_tensor = v2.PILToTensor()
    return lambda image: [to_tensor(augmentation(image))]


def plain(image_size: int) -> Transform:
    """The whole image at the network's size, its aspect ratio ignored, as ``nave.run image_size=`` has it."""
    return one_view(v2.Resize((image_size, image_size)))


def unnormalised(transform: Callable[[Image.Image], Any]) -> Transform:
    """Views of lightly (floats from 0 to 1) in 8 bit."""
    return lambda image: [_bytes(view) for view in transform(image)]


def _bytes(view: Tensor) -> Tensor:
    return (view * 255).round().to(torch.uint8)
