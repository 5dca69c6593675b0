"""A photograph with its map, the chosen box and the ground truth drawn on it."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, UInt8
from PIL import Image, ImageDraw

# Okabe and Ito (2008), told apart by colour-blind readers; sky blue first, for the largest cluster is background.
# The last three keep that up to ten clusters, the most that the studies use.
PALETTE = (
    (86, 180, 233),
    (213, 94, 0),
    (0, 158, 115),
    (240, 228, 66),
    (204, 121, 167),
    (0, 114, 178),
    (230, 159, 0),
    (40, 40, 40),
    (225, 225, 225),
    (102, 17, 0),
)
OPACITY = 0.45
GREY = 0.5  # share of the photograph's own colour that is taken out, so that the fill's can be recognised
WHITE, BLACK, TRUTH = (255, 255, 255), (0, 0, 0), (255, 225, 77)


def colours(count: int) -> UInt8[np.ndarray, "count 3"]:
    """One RGB colour a cluster id; past the palette's end it repeats, ever darker."""
    rounds = np.arange(count) // len(PALETTE)
    base = np.array(PALETTE)[np.arange(count) % len(PALETTE)]
    return np.asarray(base * (0.7 ** rounds[:, None]), np.uint8)


def indexed(labels: UInt8[np.ndarray, "H W"], slots: Sequence[int] | None = None) -> Image.Image:
    """The map as an image of palette mode: pixel values are the cluster ids, shown in the colours of ``slots``."""
    image = Image.fromarray(labels)
    image.putpalette(_palette(slots).tobytes())
    return image


def overlay(
    photograph: Image.Image,
    labels: UInt8[np.ndarray, "H W"],
    box: Sequence[float] | None = None,
    truth: Sequence[Sequence[float]] = (),
    slots: Sequence[int] | None = None,
) -> Image.Image:
    """The photograph under translucent clusters with crisp boundaries; the chosen box solid, true boxes dashed.

    ``labels`` and boxes are in the photograph's own pixels. ``slots`` gives every cluster id its colour's number, so
    that several maps agree (:func:`nave.alignment.align`); without it the id is that number.
    """
    fill = OPACITY * _palette(slots).astype(np.float32)
    mixed = (1 - OPACITY) * muted(np.asarray(photograph, np.float32))
    mixed += fill.take(labels, axis=0)
    width = max(1, round(max(photograph.size) / 400))
    lines = _boundaries(labels)
    mixed[_thick(lines, width + 1)] *= 0.6
    mixed[_thick(lines, width)] = WHITE
    picture = Image.fromarray(np.rint(mixed, out=mixed).astype(np.uint8))
    for true_box in truth:
        _rectangle(picture, true_box, 2 * width, TRUTH, dashed=True)
    if box is not None:
        _rectangle(picture, box, 2 * width, WHITE, dashed=False)
    return picture


def _palette(slots: Sequence[int] | None) -> UInt8[np.ndarray, "256 3"]:
    """The colour of every id; ids without a slot keep the colour of their own number."""
    taken = np.arange(256)
    taken[: len(slots or ())] = slots or ()
    return colours(256)[taken]


def muted(photograph: Float[np.ndarray, "H W 3"]) -> Float[np.ndarray, "H W 3"]:
    """A photograph under a translucent fill: part of its colour removed, all of its light and shade kept."""
    grey = np.array([0.299, 0.587, 0.114])[:, None].repeat(3, axis=1)
    return photograph @ ((1 - GREY) * np.eye(3) + GREY * grey).astype(np.float32)


def _boundaries(labels: UInt8[np.ndarray, "H W"]) -> Bool[np.ndarray, "H W"]:
    edges = np.zeros(labels.shape, bool)
    edges[:, 1:] |= labels[:, 1:] != labels[:, :-1]
    edges[1:] |= labels[1:] != labels[:-1]
    return edges


def _thick(lines: Bool[np.ndarray, "H W"], width: int) -> Bool[np.ndarray, "H W"]:
    """Every line ``width`` pixels wide, as a dilation by a square makes it, one axis after the other."""
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
    """A line on a black rim, so that it shows on every photograph; dashed by gaps in both."""
    draw = ImageDraw.Draw(picture)
    rim = max(1, width // 2)
    bars = _bars([round(side) for side in box], width + 2 * rim, 5 * width if dashed else None)
    for bar in bars:
        draw.rectangle(bar, fill=BLACK)
    for x1, y1, x2, y2 in bars:
        if min(x2 - x1, y2 - y1) >= 2 * rim:
            draw.rectangle((x1 + rim, y1 + rim, x2 - rim, y2 - rim), fill=colour)


def _bars(box: Sequence[int], width: int, dash: int | None) -> list[tuple[int, int, int, int]]:
    """The strokes of a frame inside a half-open box, both ends included; dashes begin and end at the corners."""
    x1, y1, x2, y2 = box[0], box[1], max(box[2] - 1, box[0]), max(box[3] - 1, box[1])
    rows = [(y1, min(y1 + width - 1, y2)), (max(y1, y2 - width + 1), y2)]
    columns = [(x1, min(x1 + width - 1, x2)), (max(x1, x2 - width + 1), x2)]
    return [(begin, top, end, bottom) for begin, end in _dashes(x1, x2, dash) for top, bottom in rows] + [
        (left, begin, right, end) for begin, end in _dashes(y1, y2, dash) for left, right in columns
    ]


def _dashes(begin: int, end: int, length: int | None) -> list[tuple[int, int]]:
    """An odd number of equal parts, every second one drawn; one part without ``length``."""
    count = 1 if length is None else max(0, round((end - begin) / length - 1) // 2) * 2 + 1
    marks = np.linspace(begin, end, count + 1).round().astype(int).tolist()
    return list(zip(marks[::2], marks[1::2], strict=True))
