"""The comparison as one plot: every concept's share of images with a cluster of its own, with intervals."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nave.comparison.rows import Row
from nave.comparison.table import TITLES
from nave.figure import STYLE, WIDTHS
from nave.report.collect import k_order
from nave.report.plots import LINES, MARKERS

AT_MOST = 8  # concepts: those of most images


def plot(found: Sequence[Row]) -> Figure:
    """One panel a K; a point with its 95 % interval for every concept and run, the watermark last.

    Shares by mask where the runs have them, else by box; pixels outside the largest component where nothing is known
    of objects.
    """
    shown = _shown(found)
    ks = sorted({row.k for row in shown}, key=k_order)
    runs = list(dict.fromkeys(row.run for row in shown))
    concepts = _concepts(shown)
    with mpl.rc_context(STYLE | {"axes.spines.top": False, "axes.spines.right": False}):
        page = Figure(figsize=(WIDTHS[2], 1.9 * len(ks) + 0.25 * len(runs)), layout="constrained")
        panels = page.subplots(len(ks), 1, squeeze=False, sharex=True)[:, 0]
        for ax, k in zip(panels, ks, strict=True):
            for number, run in enumerate(runs):
                shift = 0.7 * (number - (len(runs) - 1) / 2) / len(runs)
                _points(ax, [row for row in shown if (row.k, row.run) == (k, run)], concepts, number, shift)
            ax.set(ylabel=f"percent, K {k}", ylim=(-4, 104), xlim=(-0.5, len(concepts) - 0.5))
            ax.set_xticks(range(len(concepts)), concepts)
            ax.grid(axis="y", linewidth=0.3)
        if (best := _best(found)) != "scattered":
            panels[0].set_title(TITLES[best], loc="left")
        page.legend(*panels[0].get_legend_handles_labels(), loc="outside upper left", frameon=False)
    return page


def _shown(found: Sequence[Row]) -> list[Row]:
    own = [row for row in found if not row.against and row.score["value"] is not None]
    return [row for row in own if row.quantity in (_best(found), "saturation")]


def _best(found: Sequence[Row]) -> str:
    names = {row.quantity for row in found if not row.against and row.score["value"] is not None}
    return next(name for name in ("mask_found", "box_found", "scattered") if name in names)


def _name(row: Row) -> str:
    return row.concept or {"saturation": "watermark"}.get(row.quantity, row.quantity)


def _concepts(shown: Sequence[Row]) -> list[str]:
    images: Counter[str] = Counter()
    for row in shown:
        images[_name(row)] = max(images[_name(row)], row.score["images"])
    kept = [name for name, _ in images.most_common(AT_MOST)]
    return sorted(kept, key=lambda name: (name == "watermark", name == "any", name))


def _points(ax: Axes, some: Sequence[Row], concepts: Sequence[str], number: int, shift: float) -> None:
    kept: list[tuple[int, Any]] = [(concepts.index(_name(row)), row.score) for row in some if _name(row) in concepts]
    x = [place + shift for place, _ in kept]
    colour = LINES[number % len(LINES)]
    ax.vlines(x, [s["low"] for _, s in kept], [s["high"] for _, s in kept], color=colour, linewidth=1)
    ax.plot(
        x,
        [s["value"] for _, s in kept],
        linestyle="none",
        marker=MARKERS[number % len(MARKERS)],
        markersize=3.5,
        color=colour,
        label=some[0].run if some else None,
    )
