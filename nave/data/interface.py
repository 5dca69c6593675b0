"""The interface of every data set: images, their sizes, and the ground truth of the objects in them."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float, Int
from PIL import Image


class MissingDatasetError(FileNotFoundError):
    """A data set was not found; the message gives the folder, the expected layout and the cure."""


class MalformedDataError(ValueError):
    """An annotation file is invalid; the message names the file and the entry."""


class UnreadableImageError(Exception):
    """One image cannot be decoded; a run counts it and continues."""

    def __init__(self, image_id: str, reason: str) -> None:
        super().__init__(image_id, reason)
        self.image_id = image_id
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.image_id}: {self.reason}"


def missing(name: str, root: Path | None, layout: str, cure: str) -> MissingDatasetError:
    """The error for a data set that is not in ``root``; None if neither ``data.root`` nor ``NAVE_DATA`` is set."""
    place = "nowhere (neither data.root nor the environment variable NAVE_DATA is set)"
    if root is not None:
        place = f"{root.absolute()}" + ("" if root.exists() else " (which does not exist)")
    return MissingDatasetError(f"{name} not found; looked in {place}\nExpected layout:\n{layout}\nTo get it: {cure}")


@dataclass(frozen=True)
class GroundTruth:
    """The objects annotated in one image.

    Args:
        boxes: xyxy, half-open, in pixels of the original image.
        hard: True for the boxes that PASCAL VOC calls difficult or truncated; False in all other data sets.
    """

    boxes: Float[np.ndarray, "M 4"]
    classes: tuple[str, ...]
    hard: tuple[bool, ...]

    def __post_init__(self) -> None:
        if not len(self.boxes) == len(self.classes) == len(self.hard):
            raise ValueError(f"{len(self.boxes)} boxes, {len(self.classes)} classes, {len(self.hard)} hard flags")

    def where(self, kept: Bool[np.ndarray, " M"]) -> "GroundTruth":
        """The objects for which ``kept`` is true."""
        classes = tuple(name for name, keep in zip(self.classes, kept, strict=True) if keep)
        return GroundTruth(self.boxes[kept], classes, tuple(np.array(self.hard, bool)[kept].tolist()))

    def scaled(self, scale: tuple[float, float]) -> "GroundTruth":
        """The objects in an image that was rescaled by the factors of x and y."""
        return self if scale == (1, 1) else GroundTruth(self.boxes * [*scale, *scale], self.classes, self.hard)


@runtime_checkable
class Dataset(Protocol):
    """Images and ground truth; resizing, tensors and batches belong to the data module."""

    name: str

    def __len__(self) -> int: ...

    def image_id(self, index: int) -> str:
        """Unique in the data set: a relative posix path without suffix, such as ``trip/beach``."""
        ...

    def image(self, index: int) -> Image.Image:
        """The image in RGB, 8 bit, upright; raises UnreadableImageError."""
        ...

    def size(self, index: int) -> tuple[int, int]:
        """(height, width) of ``image(index)``, read without decoding it; raises UnreadableImageError."""
        ...

    def truth(self, index: int) -> GroundTruth | None:
        """The annotated objects; None if the image is not annotated, as opposed to an image without objects."""
        ...


@runtime_checkable
class Masked(Protocol):
    """A data set with the class, and possibly the object, of every pixel."""

    def mask(self, index: int) -> Int[np.ndarray, "H W"] | None:
        """Class of every pixel: 0 background, 255 unlabelled; None for an image without a mask."""
        ...

    def object_mask(self, index: int) -> Int[np.ndarray, "H W"] | None:
        """Object of every pixel: 0 background, 255 unlabelled, else the object's number; None if unknown."""
        ...

    def mask_classes(self) -> Mapping[int, str]:
        """Names of the classes in ``mask``, spelt as in the ground truth; classes without a name are left out."""
        ...


@runtime_checkable
class Labelled(Protocol):
    """A data set with the classes of each image as a whole."""

    exclusive: bool  # exactly one class per image, else any number

    def labels(self, index: int) -> tuple[str, ...] | None:
        """The classes of the image; None if they are unknown, as opposed to an image that shows no class."""
        ...


def positions(dataset: Dataset, image_ids: Collection[str]) -> dict[str, int]:
    """Positions of some images in the data set, as far as it has them."""
    ids = ((dataset.image_id(index), index) for index in range(len(dataset)))
    return {image_id: index for image_id, index in ids if image_id in image_ids}


class Entry(NamedTuple):
    """All that a data set knows of one image, without its masks; ``labels`` is None where it knows none."""

    image: Image.Image
    truth: GroundTruth | None
    labels: tuple[str, ...] | None


@runtime_checkable
class ReadAtOnce(Protocol):
    """A data set that reads the annotation of an image once for all that follows from it."""

    def entry(self, index: int) -> Entry:
        """What ``image``, ``truth`` and ``labels`` return; errors as theirs."""
        ...


def entry_of(dataset: Dataset, index: int) -> Entry:
    """All that ``dataset`` knows of one image, without its masks; raises UnreadableImageError."""
    entry: Callable[[int], Entry] | None = getattr(dataset, "entry", None)  # as in ReadAtOnce
    return entry(index) if entry else Entry(dataset.image(index), dataset.truth(index), labels_of(dataset, index))


def labels_of(dataset: Dataset, index: int) -> tuple[str, ...] | None:
    """The classes of one image; None if they are unknown, or the data set knows none."""
    # as in Labelled; to ask whether a data set follows a protocol takes longer than all else that an image needs here
    labels: Callable[[int], tuple[str, ...] | None] | None = getattr(dataset, "labels", None)
    return labels(index) if labels else None


@runtime_checkable
class FromFiles(Protocol):
    """A data set whose images lie in files of their own."""

    def files(self, index: int) -> Sequence[Path]:
        """The files of this image alone: first its own, then annotation and masks; whether they exist or not."""
        ...


@runtime_checkable
class Prepared(Protocol):
    """A data set whose files are checked, or downloaded, before it is used."""

    def prepare(self) -> None:
        """Downloads the data set if that was requested; raises MissingDatasetError if it is missing."""
        ...


@runtime_checkable
class Selective(Protocol):
    """A data set that does not take all that it finds."""

    @property
    def passed_over(self) -> Mapping[str, int]:
        """How many images, files or annotations were not taken, by reason; without those that are none."""
        ...


def passed_over(dataset: Dataset) -> dict[str, int]:
    """What ``dataset`` has not taken, by reason; call it after :func:`prepare`."""
    return dict(dataset.passed_over) if isinstance(dataset, Selective) else {}


def prepare(dataset: Dataset) -> None:
    """Calls ``dataset.prepare()`` if it has that method; raises MissingDatasetError if files are missing."""
    if isinstance(dataset, Prepared):
        dataset.prepare()
