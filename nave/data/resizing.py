"""Pixels of Pillow images as planes, resized to Pillow's own bytes in a third of its time.

Pillow weighs the columns of every row, pixel by pixel. Turned over, whole rows are weighed instead, which the processor
does for many pixels at once.
"""

import math
from functools import lru_cache
from typing import NamedTuple, no_type_check

import numba
import numpy as np
from jaxtyping import Int32, Int64, UInt8, UInt32
from PIL import Image

BITS = 22  # of the weights' fractions, as Pillow has them for 8-bit pixels
BLOCK = 64  # rows turned over at once, which fit the processor's cache


class Weights(NamedTuple):
    """How pixels in a line become those of another size: from ``first`` on, ``taps`` of them are weighed."""

    first: Int64[np.ndarray, " n"]
    taps: Int64[np.ndarray, " n"]
    weight: Int32[np.ndarray, "n T"]


def write_pixels(image: Image.Image, out: UInt8[np.ndarray, "3 H W"]) -> None:
    """Writes an RGB image to ``out``, bilinearly resized to its size, with the bytes of ``Image.resize``."""
    height, width = out.shape[1:]
    pixels = np.frombuffer(image.tobytes("raw", "RGBX"), "<u4").reshape(image.height, image.width)
    if (image.height, image.width) != (height, width):
        pixels = _resized(pixels, height, width)
    _separate(pixels, out)


def compile_once() -> None:
    """Compiles what :func:`write_pixels` calls, so that forked processes need not."""
    for side in (1, 2):
        write_pixels(Image.new("RGB", (2, 2)), np.empty((3, side, side), np.uint8))


def _resized(pixels: UInt32[np.ndarray, "H W"], height: int, width: int) -> UInt32[np.ndarray, "h w"]:
    """Rounded to 8 bit between the passes, whose order is that of Pillow 13."""
    shrinks, narrows = pixels.shape[0] - height, pixels.shape[1] - width
    if shrinks > max(0, 2 * narrows):
        return _with_width(_with_height(pixels, height), width)
    return _with_height(_with_width(pixels, width), height)


def _with_width(pixels: UInt32[np.ndarray, "H W"], width: int) -> UInt32[np.ndarray, "H w"]:
    if pixels.shape[1] == width:
        return pixels
    resized = np.empty((len(pixels), width), np.uint32)
    for first in range(0, len(pixels), BLOCK):
        block = slice(first, first + BLOCK)
        resized[block] = _with_height(pixels[block].T, width).T
    return resized


def _with_height(pixels: UInt32[np.ndarray, "H W"], height: int) -> UInt32[np.ndarray, "h W"]:
    if len(pixels) == height:
        return pixels
    resized = np.empty((height, pixels.shape[1]), np.uint32)
    rows = np.array(pixels, order="C")  # turned over, and writeable, as the compiled function expects them
    _weigh(rows.view(np.uint8), *weights(len(rows), height), resized.view(np.uint8))
    return resized


@lru_cache(maxsize=1024)
def weights(size: int, resized: int) -> Weights:
    """The triangular weights of Pillow's antialiased bilinear filter, for lines of ``size`` pixels."""
    scale = size / resized
    reach = max(scale, 1.0)
    first, taps = np.zeros(resized, np.int64), np.zeros(resized, np.int64)
    weight = np.zeros((resized, 2 * math.ceil(reach) + 1), np.int32)
    for place in range(resized):
        centre = (place + 0.5) * scale
        begin, end = max(int(centre - reach + 0.5), 0), min(int(centre + reach + 0.5), size)
        shares = [max(0.0, 1.0 - abs((source - centre + 0.5) * (1.0 / reach))) for source in range(begin, end)]
        total = sum(shares)
        first[place], taps[place] = begin, end - begin
        weight[place, : end - begin] = [int(0.5 + share / total * (1 << BITS)) for share in shares]
    return Weights(first, taps, weight)


@numba.njit(cache=True, nogil=True, boundscheck=False)
@no_type_check
def _weigh(
    rows: UInt8[np.ndarray, "N M"], first: Int64[np.ndarray, " n"], taps: Int64[np.ndarray, " n"],
    weight: Int32[np.ndarray, "n T"], out: UInt8[np.ndarray, "n M"],
) -> None:  # fmt: skip
    """Weighted sums of rows, rounded."""
    sums = np.empty(rows.shape[1], np.int32)
    for place in range(len(out)):
        sums[:] = 1 << (BITS - 1)
        for source in range(taps[place]):
            row, share = rows[first[place] + source], weight[place, source]
            for column in range(len(sums)):
                sums[column] += np.int32(row[column]) * share
        for column in range(len(sums)):
            out[place, column] = sums[column] >> BITS


@numba.njit(cache=True, nogil=True, boundscheck=False)
@no_type_check
def _separate(pixels: UInt32[np.ndarray, "H W"], planes: UInt8[np.ndarray, "3 H W"]) -> None:
    """Red lies in the lowest byte of a pixel."""
    for y in range(pixels.shape[0]):
        row, red, green, blue = pixels[y], planes[0, y], planes[1, y], planes[2, y]
        for x in range(len(row)):
            red[x], green[x], blue[x] = np.uint8(row[x]), np.uint8(row[x] >> 8), np.uint8(row[x] >> 16)
