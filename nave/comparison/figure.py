"""Figures for papers: maps of several images under several runs and K, in aligned colours."""

import io
import re
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from jaxtyping import UInt8
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.textpath import TextPath
from PIL import Image

from nave.comparison.pictures import Picture
from nave.runs.labels import axes, label
from nave.runs.prediction import BoxLine, Line
from nave.runs.reader import RunAtK
from nave.viz.overlay import OPACITY, TRUTH, muted
from nave.viz.palette import PaletteIndex, colours

WIDTHS = {1: 3.35, 2: 6.9}  # inches: one column (85 mm) and two (175 mm) of common journals
GAP = 0.04  # inches between pictures
DPI, LETTERS, SMALLEST = 300, 7.0, 5.0  # points of headings; journals refuse smaller letters
BREAKS = re.compile(r"(?<=[ _+,/])|(?<=\w-)(?=[A-Za-z])|(?<=\w\.)(?=[A-Za-z])")  # where a heading may be broken
STYLE: dict[Any, Any] = {  # Any: matplotlib's keys are literals, which | of two dicts loses
    "pdf.fonttype": 42,  # embedded TrueType, since journals reject Type 3
    "font.family": "sans-serif",
    "font.size": LETTERS,
    "text.parse_math": False,  # names may contain dollar signs
}
AT_MOST = 12


def figure(runs: Sequence[RunAtK], shown: Sequence[Picture], *, columns: int = 2, boxes: bool = True) -> Figure:
    """Draws one row per image: the image, then its map under every run; clusters keep their colour along the row.

    Boundaries and boxes are vector graphics; predicted boxes are solid, true boxes dashed. ``columns`` is the width in
    those of a journal.

    Raises:
        ValueError: If the runs or their headings do not fit into the width, or ``columns`` is neither 1 nor 2.
        FileNotFoundError: If neither a run nor its data set has an image.
    """
    if columns not in WIDTHS:
        raise ValueError(f"columns={columns}: a figure is 1 or 2 columns wide")
    if len(runs) > AT_MOST:
        raise ValueError(f"{len(runs)} runs and K, but a page shows {AT_MOST} at most: name fewer runs, or choose --k")
    width = WIDTHS[columns]
    cell = (width - GAP * len(runs)) / (len(runs) + 1)
    settings = [[key] for key in axes(runs)] or [[]]
    lines = ("\n".join(label(run, keys) for keys in settings) for run in runs)
    headings, letters = _fitting(["photograph", *lines], cell)
    heights = [cell * picture.line["height"] / picture.line["width"] for picture in shown]
    band = letters / 72 * 1.25 * max(text.count("\n") + 1 for text in headings) + 0.05
    height = band + sum(heights) + GAP * (len(shown) - 1)
    with mpl.rc_context(STYLE):
        page = Figure(figsize=(width, height), dpi=DPI)
        top = height - band
        for number, (picture, tall) in enumerate(zip(shown, heights, strict=True)):
            drawn = _row(page, picture, (width, height), (cell, tall), top - tall, boxes)
            for ax, text in zip(drawn, headings if number == 0 else [], strict=False):
                ax.set_title(text, fontsize=letters, pad=2.5, linespacing=1.1)
            top -= tall + GAP
    return page


def save(page: Figure, path: Path) -> None:
    """Writes a figure; the suffix decides the format (pdf, svg, png and others of matplotlib)."""
    dated = {".pdf": "CreationDate", ".svg": "Date"}
    metadata = {dated[path.suffix]: None} if path.suffix in dated else None
    path.parent.mkdir(parents=True, exist_ok=True)
    with mpl.rc_context(STYLE | {"svg.hashsalt": "nave"}):
        page.savefig(path, dpi=DPI, metadata=metadata)


def _fitting(headings: Sequence[str], inches: float) -> tuple[list[str], float]:
    """Headings broken to the width of a picture, and the largest size in points at which their words fit into it."""
    words = [word.strip() for heading in headings for line in heading.splitlines() for word in BREAKS.split(line)]
    longest = max(words, key=_width)
    letters = min(LETTERS, LETTERS * 70 * inches / _width(longest))
    if letters < SMALLEST:
        raise ValueError(
            f"{len(headings)} pictures side by side are {inches:.2f} inches wide each, too narrow for {longest!r} in "
            f"letters of {SMALLEST:g} points: choose --columns 2, fewer runs, or --k"
        )
    most = 70 * inches * LETTERS / letters
    return ["\n".join(part for line in text.splitlines() for part in _broken(line, most)) for text in headings], letters


def _broken(line: str, most: float) -> Iterator[str]:
    """Parts of a line that are no wider than ``most``, in the units of :func:`_width`."""
    part = ""
    for word in BREAKS.split(line):
        if part and _width((part + word).strip()) > most + 1e-6:
            yield part.strip()
            part = ""
        part += word
    yield part.strip()


@cache
def _width(text: str) -> float:
    """Of a text in points, at the size of ``LETTERS``."""
    return float(TextPath((0, 0), text, size=LETTERS, usetex=False).get_extents().width) if text else 0.0


def _row(
    page: Figure, picture: Picture, size: tuple[float, float], cell: tuple[float, float], bottom: float, boxes: bool
) -> list[Axes]:
    """Draws a row of pictures of the size ``cell`` on a page of ``size``, both (width, height) in inches."""
    maps = dict(zip(map(id, picture.present), picture.aligned(), strict=True))
    photo = _photograph(picture, maps[id(picture.present[0])][0].shape)
    truth = picture.line["truth"]
    drawn = []
    for column, run in enumerate((None, *picture.runs)):
        left = column * (cell[0] + GAP)
        ax = page.add_axes((left / size[0], bottom / size[1], cell[0] / size[0], cell[1] / size[1]))
        ax.set_axis_off()
        weight = min(1.0, cell[0])
        if column == 0:
            ax.imshow(photo, aspect="auto")
        elif run is not None:
            _draw(ax, photo, *maps[id(run)], weight)
            if boxes:
                _boxes(ax, run.lines[picture.image_id], truth["boxes"] if truth else [], photo.shape[1], weight)
        drawn.append(ax)
    return drawn


def _photograph(picture: Picture, shape: tuple[int, ...]) -> UInt8[np.ndarray, "h w 3"]:
    content = picture.photograph
    if content is None:
        raise FileNotFoundError(
            f"{picture.image_id}: its run kept no photograph (photographs=null) and its data set is not available"
        )
    with Image.open(io.BytesIO(content)) as image:
        return np.asarray(image.convert("RGB").resize((shape[1], shape[0]), Image.Resampling.LANCZOS))


def _draw(
    ax: Axes,
    photo: UInt8[np.ndarray, "h w 3"],
    labels: UInt8[np.ndarray, "h w"],
    palette_index: PaletteIndex,
    weight: float,
) -> None:
    """Draws a map; ``weight`` scales the width of lines in narrow pictures."""
    fill = colours(256)[np.array(palette_index)][labels].astype(np.float32)
    mixed = (1 - OPACITY) * muted(photo.astype(np.float32)) + OPACITY * fill
    ax.imshow(mixed.round().astype(np.uint8), aspect="auto")
    for cluster in np.unique(labels)[1:]:
        ax.contour(labels == cluster, levels=[0.5], colors="white", linewidths=0.4 * weight)


def _boxes(ax: Axes, line: Line, true_boxes: Sequence[BoxLine], width: int, weight: float) -> None:
    """Draws the true boxes and the chosen one on a picture that is ``width`` pixels wide."""
    scale = width / line["width"]
    for box in true_boxes:
        _box(ax, box, scale, tuple(part / 255 for part in TRUTH), weight, dashes=(0, (3, 2)))
    _box(ax, line["box"], scale, (1.0, 1.0, 1.0), weight, dashes="-")


def _box(
    ax: Axes, box: Sequence[float], scale: float, colour: tuple[float, ...], weight: float, dashes: object
) -> None:
    x1, y1, x2, y2 = (side * scale - 0.5 for side in box)
    for ink, thickness in (((0.0, 0.0, 0.0), weight), (colour, 0.5 * weight)):
        ax.add_patch(
            Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, edgecolor=ink, linewidth=thickness, linestyle=dashes)
        )
