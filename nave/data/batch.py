"""Batches of images of equal size: decoded, resized, stacked."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image
from torch import Tensor
from torch.nn import functional

from nave.data.content import Content, files_of, meaning_of
from nave.data.input_size import InputSize
from nave.data.interface import Dataset, Entry, GroundTruth, UnreadableImageError, entry_of
from nave.data.pixels import remarks

OWN_SIZE = InputSize()
Shape = tuple[int, int, int, int]
Room = Callable[[Shape], UInt8[np.ndarray, "B 3 H W"]]  # makes room for the pixels of some images


class Batch:
    """Images of equal size; ``image_ids``, ``indices``, ``sizes`` and ``truths`` have one entry per image.

    Args:
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


@dataclass
class Part:
    """Some images of a batch; the fields are those of :class:`Batch`, which has its images from ``pixels``."""

    image_ids: list[str] = field(default_factory=list)
    indices: list[int] = field(default_factory=list)
    pixels: UInt8[np.ndarray, "B 3 H W"] | None = None  # None if none could be read
    sizes: list[tuple[int, int]] = field(default_factory=list)
    truths: list[GroundTruth | None] = field(default_factory=list)
    unreadable: list[tuple[int, str, str]] = field(default_factory=list)
    contents: dict[int, Content] = field(default_factory=dict)


def load_batch(dataset: Dataset, indices: Sequence[int], input_size: InputSize = OWN_SIZE) -> Batch:
    """Decodes the images at ``indices``.

    Args:
        indices: positions in the data set.
        input_size: the size to resize to, which must be equal for all.

    Raises:
        MalformedDataError: for an invalid annotation.
        ValueError: for images of different sizes.
    """
    part = load_part(dataset, indices, input_size)
    return joined([part], empty() if part.pixels is None else torch.from_numpy(part.pixels))


def empty() -> UInt8[Tensor, "0 3 0 0"]:
    """The images of a batch of which none could be read."""
    return torch.empty((0, 3, 0, 0), dtype=torch.uint8)


def joined(parts: Sequence[Part], images: UInt8[Tensor, "B 3 H W"]) -> Batch:
    """The batch of some parts, whose pixels are ``images``."""
    return Batch(
        image_ids=[image_id for part in parts for image_id in part.image_ids],
        indices=[index for part in parts for index in part.indices],
        images=images,
        sizes=[size for part in parts for size in part.sizes],
        truths=[truth for part in parts for truth in part.truths],
        unreadable=[entry for part in parts for entry in part.unreadable],
        contents={index: content for part in parts for index, content in part.contents.items()},
    )


def load_part(dataset: Dataset, indices: Sequence[int], input_size: InputSize, room: Room | None = None) -> Part:
    """As :func:`load_batch`, into the memory that ``room`` gives. Every image is left as soon as its pixels are there.

    The memory of the next one is then the same: new memory costs the system as much time as resizing does.
    """
    part = Part()
    for index in indices:
        entry = _noted(part, dataset, index)
        if entry is None:
            continue
        own = entry.image.height, entry.image.width
        shape = (len(indices), 3, *input_size(own))
        if part.pixels is None:
            part.pixels = room(shape) if room else np.empty(shape, np.uint8)
        if part.pixels.shape != shape:
            raise ValueError(
                f"{part.image_ids[-1]}: {own} pixels (height, width): has its file changed during the run?"
            )
        _write(entry.image, part.pixels[len(part.sizes)])
        part.sizes.append(own)
        part.truths.append(entry.truth)
    if part.pixels is not None:
        part.pixels = part.pixels[: len(part.sizes)]
    return part


def _write(image: Image.Image, pixels: UInt8[np.ndarray, "3 H W"]) -> None:
    """Writes an image, resized where it is larger or smaller."""
    size = pixels.shape[1:]
    if (image.height, image.width) == size:
        for channel, plane in zip(image.split(), pixels, strict=True):  # NumPy would take longer to transpose (H, W, 3)
            plane[:] = np.frombuffer(channel.tobytes(), np.uint8).reshape(size)
        return
    full = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None]  # in a third of the time that Pillow takes
    pixels[:] = functional.interpolate(full, size, mode="bilinear", antialias=True)[0].numpy()


def _noted(part: Part, dataset: Dataset, index: int) -> Entry | None:
    """What is known of an image, with its names and contents noted in ``part``; None if it cannot be read."""
    part.contents[index] = content = files_of(dataset, index)
    try:
        entry = entry_of(dataset, index)
    except UnreadableImageError as error:
        part.unreadable.append((index, error.image_id, error.reason))
        return None
    part.contents[index] = content | meaning_of(dataset, index, entry)
    if noted := remarks(entry.image):
        part.contents[index]["remarks"] = list(noted)
    part.image_ids.append(dataset.image_id(index))
    part.indices.append(index)
    return entry
