"""Resizing against Pillow itself: the same bytes for any size."""

import numpy as np
import PIL
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from nave.data.resizing import write_pixels

SIDES = st.tuples(*[st.integers(1, 90)] * 4)
IN_ORDER = int(PIL.__version__.split(".")[0]) >= 13  # before, the columns were always weighed first


def pixels(image: Image.Image, height: int, width: int) -> np.ndarray:
    out = np.empty((3, height, width), np.uint8)
    write_pixels(image, out)
    return out.transpose(1, 2, 0)


def noise(height: int, width: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(height * 91 + width).integers(0, 256, (height, width, 3), np.uint8))


def pillows(image: Image.Image, height: int, width: int) -> np.ndarray:
    return np.asarray(image.resize((width, height), Image.Resampling.BILINEAR))


@pytest.mark.skipif(not IN_ORDER, reason="Pillow before 13 weighs columns first")
@settings(deadline=None)  # the first call compiles
@given(SIDES)
def test_any_size_has_the_bytes_of_pillow(sides: tuple[int, int, int, int]) -> None:
    image = noise(*sides[:2])
    assert np.array_equal(pixels(image, *sides[2:]), pillows(image, *sides[2:]))


@pytest.mark.parametrize("size", [(375, 500), (500, 375), (300, 400), (96, 96), (224, 500), (500, 224), (224, 224)])
def test_photographs_have_the_bytes_of_pillow(size: tuple[int, int]) -> None:
    assert np.array_equal(pixels(noise(*size), 224, 224), pillows(noise(*size), 224, 224))


def test_extremes_neither_overflow_nor_darken() -> None:
    for value in (0, 255):
        assert (pixels(Image.new("RGB", (61, 47), (value,) * 3), 13, 17) == value).all()
