"""Figures for papers: photographs against models and K, in aligned colours: ``python -m nave.figure outputs/…``."""

import argparse
import io
import sys
from collections.abc import Sequence
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

from nave.alignment import Slots, align
from nave.command import command
from nave.overlay import OPACITY, TRUTH, colours, muted
from nave.report.collect import Variant, runs, variants
from nave.report.images import photograph, read_map
from nave.report.pictures import Picture, pictures
from nave.report.settings import axes, distinguished, label
from nave.terminal import show

WIDTHS = {1: 3.35, 2: 6.9}  # inches: one column (85 mm) and two (175 mm) of common journals
GAP = 0.04  # inches between pictures
DPI, LETTERS = 300, 7.0
STYLE: dict[Any, Any] = {  # matplotlib names its keys one by one, which a sum of two dicts is not
    "pdf.fonttype": 42,  # TrueType, embedded; journals refuse type 3
    "font.family": "sans-serif",
    "font.size": LETTERS,
    "text.parse_math": False,  # names may hold dollars
}
AT_MOST = 12


def figure(found: Sequence[Variant], seen: Sequence[Picture], *, columns: int = 2) -> Figure:
    """One row an image: the photograph, then its map under every variant; a cluster keeps its colour along the row.

    Boundaries and boxes are vectors. The chosen box is solid, true boxes are dashed.

    Raises:
        ValueError: for more variants than a page can show, or a width that is none.
    """
    if columns not in WIDTHS:
        raise ValueError(f"columns={columns}: a figure is 1 or 2 columns wide")
    if len(found) > AT_MOST:
        raise ValueError(f"{len(found)} variants, but a page shows {AT_MOST} at most: name fewer runs, or choose --k")
    headings = ["photograph", *("\n".join(_heading(variant, list(axes(found)))) for variant in found)]
    width = WIDTHS[columns]
    cell = (width - GAP * len(found)) / (len(found) + 1)
    heights = [cell * picture.line["height"] / picture.line["width"] for picture in seen]
    letters = _fitting(headings, cell)
    band = letters / 72 * 1.25 * max(text.count("\n") + 1 for text in headings) + 0.05
    height = band + sum(heights) + GAP * (len(seen) - 1)
    with mpl.rc_context(STYLE):
        page = Figure(figsize=(width, height), dpi=DPI)
        top = height - band
        for number, (picture, tall) in enumerate(zip(seen, heights, strict=True)):
            drawn = _row(page, picture, (width, height), cell, top - tall, tall)
            for ax, text in zip(drawn, headings if number == 0 else [], strict=False):
                ax.set_title(text, fontsize=letters, pad=2.5, linespacing=1.1)
            top -= tall + GAP
    return page


def save(page: Figure, path: Path) -> None:
    """Writes one file, its kind by its suffix: pdf, svg, png and whatever else matplotlib writes."""
    dated = {".pdf": "CreationDate", ".svg": "Date"}
    metadata = {dated[path.suffix]: None} if path.suffix in dated else None
    path.parent.mkdir(parents=True, exist_ok=True)
    with mpl.rc_context(STYLE | {"svg.hashsalt": "nave"}):
        page.savefig(path, dpi=DPI, metadata=metadata)


def _heading(variant: Variant, keys: Sequence[str]) -> list[str]:
    """One line a setting."""
    return [label(variant, [key]) for key in keys] or [label(variant, [])]


def _fitting(headings: Sequence[str], inches: float) -> float:
    """The size in points at which no line is wider than a picture; never larger than the figure's own."""
    lines = [line for heading in headings for line in heading.splitlines()]
    widest = max(TextPath((0, 0), line, size=LETTERS, usetex=False).get_extents().width for line in lines)
    return min(LETTERS, LETTERS * 70 * inches / widest)


def _row(
    page: Figure, picture: Picture, size: tuple[float, float], cell: float, bottom: float, tall: float
) -> list[Axes]:
    present = [variant for variant in picture.variants if variant is not None]
    labels = [read_map(variant, picture.image_id) for variant in present]
    maps = dict(zip(map(id, present), zip(labels, align(labels), strict=True), strict=True))
    photo = _photograph(picture, labels[0].shape)
    drawn = []
    for column, variant in enumerate((None, *picture.variants)):
        left = column * (cell + GAP)
        ax = page.add_axes((left / size[0], bottom / size[1], cell / size[0], tall / size[1]))
        ax.set_axis_off()
        if column == 0:
            ax.imshow(photo, aspect="auto")
        elif variant is not None:
            line = picture.line | variant.lines[picture.image_id]
            _draw(ax, photo, *maps[id(variant)], line, weight=min(1.0, cell))
        drawn.append(ax)
    return drawn


def _photograph(picture: Picture, shape: tuple[int, ...]) -> UInt8[np.ndarray, "h w 3"]:
    content = photograph([v.run for v in picture.variants if v is not None], picture.image_id)
    if content is None:
        raise FileNotFoundError(
            f"{picture.image_id}: its run kept no photograph (photographs=null) and its data set is not at hand"
        )
    with Image.open(io.BytesIO(content)) as image:
        return np.asarray(image.convert("RGB").resize((shape[1], shape[0]), Image.Resampling.LANCZOS))


def _draw(
    ax: Axes,
    photo: UInt8[np.ndarray, "h w 3"],
    labels: UInt8[np.ndarray, "h w"],
    slots: Slots,
    line: dict[str, object],
    weight: float,
) -> None:
    """``weight``: the share of their thickness that lines have in a picture narrower than an inch."""
    fill = colours(256)[np.array(slots)][labels].astype(np.float32)
    mixed = (1 - OPACITY) * muted(photo.astype(np.float32)) + OPACITY * fill
    ax.imshow(mixed.round().astype(np.uint8), aspect="auto")
    for cluster in np.unique(labels)[1:]:
        ax.contour(labels == cluster, levels=[0.5], colors="white", linewidths=0.4 * weight)
    scale = labels.shape[1] / float(line["width"])  # type: ignore[arg-type]
    truth = line["truth"]
    for box in truth["boxes"] if isinstance(truth, dict) else ():
        _box(ax, box, scale, tuple(part / 255 for part in TRUTH), weight, dashes=(0, (3, 2)))
    _box(ax, line["box"], scale, (1.0, 1.0, 1.0), weight, dashes="-")  # type: ignore[arg-type]


def _box(
    ax: Axes, box: Sequence[float], scale: float, colour: tuple[float, ...], weight: float, dashes: object
) -> None:
    x1, y1, x2, y2 = (side * scale - 0.5 for side in box)
    for ink, thickness in (((0.0, 0.0, 0.0), weight), (colour, 0.5 * weight)):
        ax.add_patch(
            Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, edgecolor=ink, linewidth=thickness, linestyle=dashes)
        )


def chosen(folders: Sequence[Path], ks: Sequence[str], image_ids: Sequence[str]) -> tuple[list[Variant], list[Picture]]:
    """What a figure of these runs shows; the first four images that all variants explained where none is named.

    Raises:
        FileNotFoundError: if there is no finished run.
        ValueError: for a K or an image that the runs do not have, with those that they have.
    """
    every = variants(runs(folders))
    known = list(dict.fromkeys(variant.k for variant in every))
    if unknown := set(ks) - set(known):
        raise ValueError(f"no run has K = {', '.join(sorted(unknown))}: choose of {', '.join(known)}")
    found = distinguished([variant for variant in every if not ks or variant.k in ks])
    seen = {picture.image_id: picture for picture in pictures(found)}
    if missing := [image_id for image_id in image_ids if image_id not in seen]:
        raise ValueError(f"no image {missing[0]!r}: the runs hold {', '.join([*seen][:10])}{' …' * (len(seen) > 10)}")
    return found, [seen[name] for name in image_ids] or [p for p in seen.values() if all(p.variants)][:4]


@command
def main(arguments: list[str] | None = None) -> None:
    """The command line; fails where there is nothing to draw."""
    parser = argparse.ArgumentParser(prog="python -m nave.figure", description=__doc__)
    parser.add_argument("folder", type=Path, nargs="+", help="folders of runs or sweeps")
    parser.add_argument("--images", nargs="+", default=[], metavar="ID", help="image_ids, one row each")
    parser.add_argument("--k", nargs="+", default=[], help="only these numbers of clusters")
    parser.add_argument("--columns", type=int, default=2, help="width in columns of a paper, 1 or 2")
    parser.add_argument("--output", type=Path, nargs="+", default=[Path("figure.pdf"), Path("figure.png")])
    options = parser.parse_args(arguments)
    page = figure(*chosen(options.folder, options.k, options.images), columns=options.columns)
    for path in options.output:
        save(page, path)
    show(f"written to {', '.join(map(str, options.output))}")


if __name__ == "__main__":
    sys.exit(main())
