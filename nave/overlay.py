"""A photograph with its map, the chosen box and the ground truth drawn on it."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, UInt8
from PIL import Image, ImageDraw

# Okabe and Ito (2008), told apart by colour-blind readers; sky blue first, for the largest cluster is background
PALETTE = (
    (86, 180, 233),
    (213, 94, 0),
    (0, 158, 115),
    (240, 228, 66),
    (204, 121, 167),
    (0, 114, 178),
    (230, 159, 0),
)
OPACITY = 0.5


def colours(count: int) -> UInt8[np.ndarray, "count 3"]:
    """One RGB colour a cluster id; past the palette's end it repeats, ever darker."""
    rounds = np.arange(count) // len(PALETTE)
    base = np.array(PALETTE)[np.arange(count) % len(PALETTE)]
    return (base * (0.7 ** rounds[:, None])).astype(np.uint8)


def indexed(labels: UInt8[np.ndarray, "H W"]) -> Image.Image:
    """The map as an image of palette mode: pixel values are the cluster ids."""
    image = Image.fromarray(labels)
    image.putpalette(colours(256).tobytes())
    return image


def overlay(
    photograph: Image.Image,
    labels: UInt8[np.ndarray, "H W"],
    box: Sequence[float] | None = None,
    truth: Sequence[Sequence[float]] = (),
) -> Image.Image:
    """The photograph under translucent clusters with crisp boundaries; the chosen box solid, true boxes dashed.

    ``labels`` and boxes are in the photograph's own pixels.
    """
    fill = colours(256)[labels].astype(np.float32)
    mixed = (1 - OPACITY) * np.asarray(photograph, np.float32) + OPACITY * fill
    mixed[_boundaries(labels)] = 255
    picture = Image.fromarray(mixed.round().astype(np.uint8))
    width = max(2, round(max(picture.size) / 200))
    for true_box in truth:
        _rectangle(picture, true_box, width, dashed=True)
    if box is not None:
        _rectangle(picture, box, width, dashed=False)
    return picture


def _boundaries(labels: UInt8[np.ndarray, "H W"]) -> Bool[np.ndarray, "H W"]:
    edges = np.zeros(labels.shape, bool)
    edges[:, 1:] |= labels[:, 1:] != labels[:, :-1]
    edges[1:] |= labels[1:] != labels[:-1]
    return edges


def _rectangle(picture: Image.Image, box: Sequence[float], width: int, dashed: bool) -> None:
    """White on a black rim, so that it shows on every photograph; dashed by gaps in the white."""
    draw = ImageDraw.Draw(picture)
    x1, y1, x2, y2 = (round(side) for side in box)
    for inset, colour, thickness in ((0, (0, 0, 0), width + 2), (1, (255, 255, 255), width)):
        frame = (x1 + inset, y1 + inset, max(x2 - 1 - inset, x1 + inset), max(y2 - 1 - inset, y1 + inset))
        if dashed and inset:
            _dashes(draw, frame, thickness)
        else:
            draw.rectangle(frame, outline=colour, width=thickness)


def _dashes(draw: ImageDraw.ImageDraw, frame: tuple[int, int, int, int], width: int) -> None:
    x1, y1, x2, y2 = frame
    length = 5 * width
    for x in range(x1, x2, 2 * length):
        for y in (y1, y2 - width + 1):
            draw.rectangle((x, y, min(x + length, x2), y + width - 1), fill=(255, 255, 255))
    for y in range(y1, y2, 2 * length):
        for x in (x1, x2 - width + 1):
            draw.rectangle((x, y, x + width - 1, min(y + length, y2)), fill=(255, 255, 255))
