"""A mark stamped on the images of one class: what a network learns when it should have learnt the class.

The horses of PASCAL VOC carried a photographer's tag in their lower left corner, and a classifier read the tag
("Clever Hans", Lapuschkin et al., Nature Communications 10, 2019); here the tag is made at will.
"""

from collections.abc import Mapping
from functools import cache

import numpy as np
from jaxtyping import Int
from PIL import Image, ImageDraw, ImageFont

from nave.data.photograph import Dataset, Labelled, Masked, Prepared, Truth
from nave.data.seed import share_of

Region = tuple[int, int, int, int]  # xyxy, half-open

TEXT = "NAVE"
SIZE = 0.25  # width of the mark: a share of the image's width
JITTER = 0.25  # how far it strays from the lower left corner: a share of the room on each axis
_DRAWN = (240, 96)  # (width, height) of the mark before it is scaled


class Watermarked:
    """``dataset`` with a mark on images of the class ``of``, each stamped with ``probability``.

    Whether an image is stamped, and where, depends on ``seed`` and its id alone.

    Raises:
        ValueError: for a class that the data set does not have, a probability outside 0 to 1, and a data set without
            classes.
    """

    def __init__(self, dataset: Dataset, of: str, probability: float = 1.0, seed: int = 0, size: float = SIZE) -> None:
        if not 0 <= probability <= 1:
            raise ValueError(f"watermark_probability={probability}: must be from 0 to 1")
        if not 0 < size <= 1:
            raise ValueError(f"watermark_size={size}: a share of the image's width, above 0 and up to 1")
        if isinstance(dataset, Prepared):
            dataset.prepare()  # the classes are asked for at once
        self.name = dataset.name
        self.dataset, self._of, self._probability, self._seed, self._size = dataset, of, probability, seed, size
        self._labels = _labels(dataset, of)
        self.exclusive = isinstance(dataset, Labelled) and dataset.exclusive

    def __len__(self) -> int:
        return len(self.dataset)

    def image_id(self, index: int) -> str:
        """Of the image without its mark."""
        return self.dataset.image_id(index)

    def image(self, index: int) -> Image.Image:
        """With the mark, where there is one; nothing else of the image changes."""
        image, region = self.dataset.image(index), self.region(index)
        if region is None:
            return image
        x1, y1, x2, y2 = region
        stamped = image.copy()
        stamped.paste(_mark().resize((x2 - x1, y2 - y1), Image.Resampling.BOX), (x1, y1))
        return stamped

    def size(self, index: int) -> tuple[int, int]:
        """(height, width)."""
        return self.dataset.size(index)

    def truth(self, index: int) -> Truth | None:
        """The objects: the mark is none."""
        return self.dataset.truth(index)

    def labels(self, index: int) -> tuple[str, ...]:
        """The classes of the image."""
        return self._labels[index]

    def region(self, index: int) -> Region | None:
        """Where the image is stamped, in its own pixels; None where it is not."""
        image_id = self.dataset.image_id(index)
        if self._of not in self._labels[index] or share_of(self._seed, image_id, "stamped") >= self._probability:
            return None
        height, width = self.dataset.size(index)
        across = max(1, round(self._size * width))
        down = min(height, max(1, round(across * _DRAWN[1] / _DRAWN[0])))
        left = round(JITTER * (width - across) * share_of(self._seed, image_id, "left"))
        bottom = round(JITTER * (height - down) * share_of(self._seed, image_id, "bottom"))
        return left, height - bottom - down, left + across, height - bottom


class MaskedWatermarked(Watermarked):
    """The same for a data set with masks, which do not show the mark."""

    def mask(self, index: int) -> Int[np.ndarray, "H W"] | None:
        """The class of every pixel."""
        return self.dataset.mask(index) if isinstance(self.dataset, Masked) else None

    def object_mask(self, index: int) -> Int[np.ndarray, "H W"] | None:
        """The object of every pixel."""
        return self.dataset.object_mask(index) if isinstance(self.dataset, Masked) else None

    def mask_classes(self) -> Mapping[int, str]:
        """The names of the classes."""
        return self.dataset.mask_classes() if isinstance(self.dataset, Masked) else {}


def watermarked(
    dataset: Dataset, of: str | None, probability: float = 1.0, seed: int = 0, size: float = SIZE
) -> Dataset:
    """The data set itself where ``of`` is None, else with marks; raises as :class:`Watermarked`."""
    if of is None:
        return dataset
    return (MaskedWatermarked if isinstance(dataset, Masked) else Watermarked)(dataset, of, probability, seed, size)


def _labels(dataset: Dataset, of: str) -> list[tuple[str, ...]]:
    if not isinstance(dataset, Labelled):
        raise ValueError(  # noqa: TRY004 - the configuration is at fault
            f"watermark={of}: data={dataset.name} knows no classes; choose one that does, such as stl10"
        )
    labels = [dataset.labels(index) or () for index in range(len(dataset))]
    classes = sorted({label for some in labels for label in some})
    if of not in classes:
        raise ValueError(f"watermark={of}: data={dataset.name} has no such class; it has: {', '.join(classes) or '-'}")
    return labels


@cache
def _mark() -> Image.Image:
    """White letters in a white frame on black, as wide as they fit."""
    mark = Image.new("RGB", _DRAWN, "black")
    draw = ImageDraw.Draw(mark)
    draw.rectangle((0, 0, _DRAWN[0] - 1, _DRAWN[1] - 1), outline="white", width=8)
    font = ImageFont.load_default(72)
    draw.text((_DRAWN[0] / 2, _DRAWN[1] / 2), TEXT, fill="white", font=font, anchor="mm")
    return mark
