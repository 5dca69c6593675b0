"""Draws the regions that show a concept."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import UInt8
from PIL import Image
from scipy.ndimage import minimum_filter1d

from nave.viz.overlay import overlay, shrunk
from nave.viz.palette import colours

FADED = 0.78  # part of what lies outside a region that gives way to white
LINE = 3  # pixels of the region's outline
GAP = 4  # pixels between the pictures of a strip


def lit(
    photograph: Image.Image, labels: UInt8[np.ndarray, "H W"], cluster: int, concept: int, longest: int
) -> Image.Image:
    """The photograph, small, with one cluster lit up in the outline of its concept's colour.

    Args:
        concept: The number of the concept that the cluster shows.
        longest: Longer side of the picture in pixels.
    """
    small = shrunk(photograph.convert("RGB"), longest)
    region = np.asarray(Image.fromarray(labels).resize(small.size, Image.Resampling.NEAREST)) == cluster
    pixels = np.asarray(small, np.float32)
    pixels = np.where(region[..., None], pixels, (1 - FADED) * pixels + FADED * 255)
    pixels[region & ~_eroded(region)] = colours(concept + 1)[concept]
    return Image.fromarray(pixels.astype(np.uint8))


def _eroded(region: np.ndarray) -> np.ndarray:
    """The region without the pixels that lie within LINE of another on either axis; the image's border is none."""
    rows, columns = (minimum_filter1d(region, 2 * LINE - 1, axis, mode="constant", cval=1) for axis in (0, 1))
    return np.asarray(rows & columns, bool)


def coloured(
    photograph: Image.Image, labels: UInt8[np.ndarray, "H W"], concepts: Sequence[int], longest: int
) -> Image.Image:
    """The photograph, small, with every cluster in the colour of its concept."""
    small = shrunk(photograph.convert("RGB"), longest)
    of_pixel = np.array(concepts, np.uint8)[np.asarray(labels)]
    resized = np.asarray(Image.fromarray(of_pixel).resize(small.size, Image.Resampling.NEAREST))
    return overlay(small, resized, colours_of=colours(256))


def strip(pictures: Sequence[Image.Image]) -> Image.Image:
    """Pictures side by side on white."""
    size = (sum(one.width + GAP for one in pictures) - GAP, max(one.height for one in pictures))
    whole, left = Image.new("RGB", size, "white"), 0
    for one in pictures:
        whole.paste(one, (left, 0))
        left += one.width + GAP
    return whole
