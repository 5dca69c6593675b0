"""A watermark on the images of one class: a spurious feature that a network can learn in place of the class.

In PASCAL VOC, images of horses often carry a photographer's tag in the lower left corner, and a classifier was found
to rely on it ("Clever Hans", Lapuschkin et al., Nature Communications 10, 2019). This module adds such a tag.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

import numpy as np
from jaxtyping import Int
from PIL import Image, ImageDraw, ImageFont

from nave.data.interface import Dataset, FromFiles, GroundTruth, Labelled, Masked, passed_over, prepare
from nave.data.seed import hash_fraction
from nave.limits import within

Region = tuple[int, int, int, int]  # xyxy, half-open

TEXT = "NAVE"
JITTER = 0.25  # largest distance from the lower left corner: a fraction of the free space on each axis
_DRAWN = (240, 96)  # (width, height) of the watermark before it is scaled


class Watermarked:
    """A data set with a watermark on the images of one class.

    Whether an image is stamped, and where, depends only on ``seed`` and the image id. ``size`` is a share of the
    image's width.

    Raises:
        ValueError: for a class that the data set does not have, a data set without classes, and a probability or size
            out of range.
    """

    def __init__(self, dataset: Dataset, of: str, *, probability: float, seed: int, size: float) -> None:
        within("watermark_probability", probability)
        within("watermark_size", size)
        prepare(dataset)  # the classes are needed below
        self.name = dataset.name
        self.dataset, self._of, self._probability, self._seed, self._size = dataset, of, probability, seed, size
        self._labels = _labels(dataset, of)
        self.exclusive = isinstance(dataset, Labelled) and dataset.exclusive

    def __len__(self) -> int:
        return len(self.dataset)

    def image_id(self, index: int) -> str:
        """The id of the image without the watermark."""
        return self.dataset.image_id(index)

    def image(self, index: int) -> Image.Image:
        """The image, stamped if :meth:`region` is not None; the other pixels do not change."""
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

    def files(self, index: int) -> Sequence[Path]:
        """The files of the image without the watermark."""
        return self.dataset.files(index) if isinstance(self.dataset, FromFiles) else ()

    @property
    def passed_over(self) -> dict[str, int]:
        """What the data set has not taken, by reason."""
        return passed_over(self.dataset)

    def truth(self, index: int) -> GroundTruth | None:
        """The annotated objects; the watermark is not one of them."""
        return self.dataset.truth(index)

    def labels(self, index: int) -> tuple[str, ...]:
        """The classes of the image."""
        return self._labels[index]

    def region(self, index: int) -> Region | None:
        """The watermark's region in pixels of the image; None if the image is not stamped."""
        image_id = self.dataset.image_id(index)
        if self._of not in self._labels[index] or hash_fraction(self._seed, image_id, "stamped") >= self._probability:
            return None
        height, width = self.dataset.size(index)
        across = max(1, round(self._size * width))
        down = min(height, max(1, round(across * _DRAWN[1] / _DRAWN[0])))
        left = round(JITTER * (width - across) * hash_fraction(self._seed, image_id, "left"))
        bottom = round(JITTER * (height - down) * hash_fraction(self._seed, image_id, "bottom"))
        return left, height - bottom - down, left + across, height - bottom


class MaskedWatermarked(Watermarked):
    """A watermarked data set with masks; the masks do not show the watermark."""

    def mask(self, index: int) -> Int[np.ndarray, "H W"] | None:
        """Class of every pixel."""
        return self.dataset.mask(index) if isinstance(self.dataset, Masked) else None

    def object_mask(self, index: int) -> Int[np.ndarray, "H W"] | None:
        """Object of every pixel."""
        return self.dataset.object_mask(index) if isinstance(self.dataset, Masked) else None

    def mask_classes(self) -> Mapping[int, str]:
        """Names of the classes."""
        return self.dataset.mask_classes() if isinstance(self.dataset, Masked) else {}


def watermarked(dataset: Dataset, of: str | None, *, probability: float, seed: int, size: float) -> Dataset:
    """``dataset`` with watermarks, or unchanged if ``of`` is None; arguments and errors as of :class:`Watermarked`."""
    if of is None:
        return dataset
    kind = MaskedWatermarked if isinstance(dataset, Masked) else Watermarked
    return kind(dataset, of, probability=probability, seed=seed, size=size)


def _labels(dataset: Dataset, of: str) -> list[tuple[str, ...]]:
    if not isinstance(dataset, Labelled):
        raise ValueError(  # noqa: TRY004 - the configuration is at fault
            f"watermark={of}: data={dataset.name} knows no classes; choose one that does, such as stl10"
        )
    labels = [dataset.labels(index) or () for index in range(len(dataset))]
    classes = sorted({label for shown in labels for label in shown})
    if of not in classes:
        raise ValueError(f"watermark={of}: data={dataset.name} has no such class; it has: {', '.join(classes) or '-'}")
    return labels


@cache
def _mark() -> Image.Image:
    """White letters in a white frame on black."""
    mark = Image.new("RGB", _DRAWN, "black")
    draw = ImageDraw.Draw(mark)
    draw.rectangle((0, 0, _DRAWN[0] - 1, _DRAWN[1] - 1), outline="white", width=8)
    font = ImageFont.load_default(72)
    draw.text((_DRAWN[0] / 2, _DRAWN[1] / 2), TEXT, fill="white", font=font, anchor="mm")
    return mark
