"""Draws a map, the predicted box and the ground truth on an image."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from jaxtyping import Bool, Float, UInt8
from PIL import Image, ImageDraw

from nave.viz.palette import colours

OPACITY = 0.45
GREY = 0.5  # share of the image's own colour that is removed, so that the colours of clusters can be recognised
QUALITY = 82  # of small JPEGs: about 50 kB at 640 pixels
WHITE, BLACK, TRUTH = (255, 255, 255), (0, 0, 0), (255, 225, 77)


def indexed(labels: UInt8[np.ndarray, "H W"], palette_index: Sequence[int] | None = None) -> Image.Image:
    """Converts a map to a palette image: pixel values are cluster ids, colours those of ``palette_index``."""
    image = Image.fromarray(labels)
    image.putpalette(palette(tuple(palette_index or ())).tobytes())
    return image


def overlay(
    image: Image.Image,
    labels: UInt8[np.ndarray, "H W"],
    box: Sequence[float] | None = None,
    truth: Sequence[Sequence[float]] = (),
    colours_of: UInt8[np.ndarray, "256 3"] | None = None,
) -> Image.Image:
    """Draws translucent clusters with crisp boundaries on an image.

    Args:
        labels: The map of the image, of the same size.
        box: The predicted box (xyxy, pixels of the image), drawn solid.
        truth: True boxes, drawn dashed.
        colours_of: Colours of the cluster ids; those of the palette without it.
    """
    fill = OPACITY * (palette() if colours_of is None else colours_of).astype(np.float32)
    mixed = (1 - OPACITY) * muted(np.asarray(image, np.float32))
    mixed += fill.take(labels, axis=0)
    width = max(1, round(max(image.size) / 400))
    lines = _boundaries(labels)
    mixed[_thick(lines, width + 1)] *= 0.6
    mixed[_thick(lines, width)] = WHITE
    picture = Image.fromarray(np.rint(mixed, out=mixed).astype(np.uint8))
    for true_box in truth:
        _rectangle(picture, true_box, 2 * width, TRUTH, dashed=True)
    if box is not None:
        _rectangle(picture, box, 2 * width, WHITE, dashed=False)
    return picture


def shrunk(image: Image.Image, longest: int) -> Image.Image:
    """Shrinks an image so that its longer side has at most ``longest`` pixels; never enlarges it."""
    size = shrunk_size(image.size, longest)
    return image if size == image.size else image.resize(size, Image.Resampling.LANCZOS)


def shrunk_size(size: tuple[int, int], longest: int) -> tuple[int, int]:
    """Of an image of (width, height) after :func:`shrunk`."""
    scale = min(1.0, longest / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


@lru_cache(maxsize=64)
def palette(palette_index: tuple[int, ...] = ()) -> UInt8[np.ndarray, "256 3"]:
    """The colour of every cluster id; the palette index of further ids is the id itself. Do not modify it."""
    indices = np.arange(256)
    indices[: len(palette_index)] = palette_index
    return colours(256)[indices]


def muted(image: Float[np.ndarray, "H W 3"]) -> Float[np.ndarray, "H W 3"]:
    """Desaturates an image partly, keeping its luminance, so that translucent colours can be recognised on it."""
    grey = np.array([0.299, 0.587, 0.114])[:, None].repeat(3, axis=1)
    return image @ ((1 - GREY) * np.eye(3) + GREY * grey).astype(np.float32)


def _boundaries(labels: UInt8[np.ndarray, "H W"]) -> Bool[np.ndarray, "H W"]:
    edges = np.zeros(labels.shape, bool)
    edges[:, 1:] |= labels[:, 1:] != labels[:, :-1]
    edges[1:] |= labels[1:] != labels[:-1]
    return edges


def _thick(lines: Bool[np.ndarray, "H W"], width: int) -> Bool[np.ndarray, "H W"]:
    """Dilates lines by a square of ``width`` pixels, one axis after the other."""
    for axis in (0, 1):
        grown = np.swapaxes(lines.copy(), 0, axis)
        source = np.swapaxes(lines, 0, axis)
        for shift in range(1, width // 2 + 1):
            grown[:-shift] |= source[shift:]
        for shift in range(1, (width - 1) // 2 + 1):
            grown[shift:] |= source[:-shift]
        lines = np.swapaxes(grown, 0, axis)
    return lines


def _rectangle(
    picture: Image.Image, box: Sequence[float], width: int, colour: tuple[int, int, int], dashed: bool
) -> None:
    """Draws a frame with a black border, so that it is visible on every image; dashes interrupt both."""
    draw = ImageDraw.Draw(picture)
    border = max(1, width // 2)
    bars = _bars([round(side) for side in box], width + 2 * border, 5 * width if dashed else None)
    for bar in bars:
        draw.rectangle(bar, fill=BLACK)
    for x1, y1, x2, y2 in bars:
        if min(x2 - x1, y2 - y1) >= 2 * border:
            draw.rectangle((x1 + border, y1 + border, x2 - border, y2 - border), fill=colour)


def _bars(box: Sequence[int], width: int, dash: int | None) -> list[tuple[int, int, int, int]]:
    """The strokes of a frame inside a half-open box, both ends inclusive; dashes start and end at the corners."""
    x1, y1, x2, y2 = box[0], box[1], max(box[2] - 1, box[0]), max(box[3] - 1, box[1])
    rows = [(y1, min(y1 + width - 1, y2)), (max(y1, y2 - width + 1), y2)]
    columns = [(x1, min(x1 + width - 1, x2)), (max(x1, x2 - width + 1), x2)]
    return [(begin, top, end, bottom) for begin, end in _dashes(x1, x2, dash) for top, bottom in rows] + [
        (left, begin, right, end) for begin, end in _dashes(y1, y2, dash) for left, right in columns
    ]


def _dashes(begin: int, end: int, length: int | None) -> list[tuple[int, int]]:
    """Divides a stroke into an odd number of equal parts and returns every second; one part without ``length``."""
    count = 1 if length is None else max(0, round((end - begin) / length - 1) // 2) * 2 + 1
    marks = np.linspace(begin, end, count + 1).round().astype(int).tolist()
    return list(zip(marks[::2], marks[1::2], strict=True))
