"""What is measured on: ten photographs of one size."""

from collections.abc import Iterator
from itertools import count, islice
from pathlib import Path

from PIL import Image, ImageOps

from nave.data.sample import Sample


def photographs(number: int, size: tuple[int, int]) -> list[Image.Image]:
    """The eight of ``data=sample``, cut and resized to ``size`` (height, width); from the ninth on mirrored, then
    turned by ever more degrees, so that no two are the same.
    """
    return [ImageOps.fit(image, (size[1], size[0]), Image.Resampling.LANCZOS) for image in islice(_endless(), number)]


def write(folder: Path, images: list[Image.Image]) -> Path:
    """As JPEG files, so that decoding is part of what is measured."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, image in enumerate(images):
        image.save(folder / f"{number:04}.jpg", quality=92)
    return folder


def _endless() -> Iterator[Image.Image]:
    sample = Sample()
    for turn in count():
        for index in range(len(sample)):
            image = sample.image(index)
            mirrored = ImageOps.mirror(image) if turn % 2 else image
            yield mirrored.rotate(turn // 2, Image.Resampling.BILINEAR)
