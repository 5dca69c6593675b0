"""What a data set is to the rest of NAVE: images, their sizes, what is known about the objects in them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Int
from PIL import Image


@dataclass(frozen=True)
class Truth:
    """The objects annotated in one image; boxes are xyxy, half-open, in pixels of the original image.

    `hard` marks the boxes that VOC calls difficult or truncated; it is False throughout other data sets.
    """

    boxes: Float[np.ndarray, "M 4"]
    classes: tuple[str, ...]
    hard: tuple[bool, ...]

    def __post_init__(self) -> None:
        if not len(self.boxes) == len(self.classes) == len(self.hard):
            raise ValueError(f"{len(self.boxes)} boxes, {len(self.classes)} classes, {len(self.hard)} hard flags")


class UnreadableImage(Exception):  # noqa: N818 - the run goes on without the image
    """One image that cannot be decoded; the run counts it and goes on."""

    def __init__(self, image_id: str, reason: str) -> None:
        super().__init__(image_id, reason)
        self.image_id = image_id
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.image_id}: {self.reason}"


@runtime_checkable
class Dataset(Protocol):
    """Images and ground truth, nothing else: no resizing, no tensors, no batches."""

    name: str

    def __len__(self) -> int: ...

    def image_id(self, index: int) -> str:
        """Unique in the data set, a relative posix path without suffix ("trip/beach")."""
        ...

    def image(self, index: int) -> Image.Image:
        """RGB, 8 bit, the right way up; raises UnreadableImage."""
        ...

    def size(self, index: int) -> tuple[int, int]:
        """(height, width) of `image(index)`, found without decoding it; raises UnreadableImage."""
        ...

    def truth(self, index: int) -> Truth | None:
        """None when nothing is known about the image, which is not the same as no objects."""
        ...


@runtime_checkable
class Masked(Protocol):
    """A data set that knows the class of every pixel, perhaps the object too."""

    def mask(self, index: int) -> Int[np.ndarray, "H W"] | None:
        """0 background, 255 unknown, else a class; None where the image has no mask."""
        ...

    def object_mask(self, index: int) -> Int[np.ndarray, "H W"] | None:
        """0 background, 255 unknown, else the number of an object; None where that is not known."""
        ...

    def mask_classes(self) -> Mapping[int, str]:
        """The names, as the truth has them, of the classes in `mask`; those without a name are left out."""
        ...


@runtime_checkable
class Labelled(Protocol):
    """A data set that knows what classes an image shows, wherever they are in it."""

    exclusive: bool  # one class an image; else any number of them

    def labels(self, index: int) -> tuple[str, ...] | None:
        """The classes; None where they are not known, which is not the same as no class."""
        ...


@runtime_checkable
class Prepared(Protocol):
    """A data set that has to be present on this machine, and may know how to get there."""

    def prepare(self) -> None:
        """Raises MissingDataset where it is missing, or fetches it when asked to."""
        ...
