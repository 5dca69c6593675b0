"""Plots of a report, as SVG inside the page, in the page's own colours and fonts, light and dark."""

import io
import re
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from markupsafe import Markup, escape
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nave.report.collect import Variant, k_order
from nave.report.settings import axes, label

TITLES = {
    "corloc": "CorLoc",
    "ap50": "AP50, class-agnostic",
    "nave": "NAVE protocol (upper bound)",
    "ar100": "AR@100",
}
INK, FAINT = "#0a0b0c", "#0d0e0f"  # stand-ins, replaced by the page's variables once the SVG is written
# Okabe and Ito's colours that stand out on white and on black; markers and dashes tell the lines apart as well
LINES = ("#3b8fd6", "#d55e00", "#009e73", "#cc79a7", "#b8860b", "#8a8a8a")
MARKERS, DASHES = "osD^vPX", ("-", "--", ":", "-.")
STYLE: dict[Any, Any] = {  # matplotlib names its keys one by one, which a sum of two dicts is not
    "svg.fonttype": "none",
    "text.parse_math": False,  # names may hold dollars
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "grid.color": FAINT,
    "grid.linewidth": 0.4,
    "lines.linewidth": 1.8,
    "lines.markersize": 5,
}


def over_k(found: Sequence[Variant], protocol: str) -> Markup | None:
    """One protocol over K, a line for each model (and whatever else differs) with its 95 % intervals.

    None where there is one K only, or nothing was scored.
    """
    scored = [v for v in found if _value(v, protocol) is not None]
    ks = sorted({v.k for v in scored}, key=k_order)
    if len(ks) < 2:
        return None
    with mpl.rc_context(STYLE | {"svg.hashsalt": f"over-k-{protocol}"}):
        figure, ax = _axes(4.6, 3.1)
        series = _series(scored)
        for number, (name, line) in enumerate(series.items()):
            shift = (number - (len(series) - 1) / 2) * min(0.05, 0.3 / len(series))
            _draw(ax, ks, line, protocol, name, number, shift)
        ax.set_xticks(range(len(ks)), ks)
        ax.set(xlabel="K", ylabel="percent", title=TITLES[protocol])
        ax.set_ylim(bottom=0)
        ax.grid(axis="y")
        return _svg(figure, f"{TITLES[protocol]} over K = {', '.join(ks)}; the table holds every value")


def key(found: Sequence[Variant]) -> list[tuple[str, Markup]]:
    """Name and sample of each line of :func:`over_k`, for one legend beside all plots."""
    return [(name, _sample(number)) for number, name in enumerate(_series(found))]


def layers_by_k(found: Sequence[Variant], protocol: str) -> list[tuple[str, Markup]]:
    """A heat map layers x K for each model (and whatever else differs); none where the layers do not differ."""
    keys = axes(found)
    if "layers" not in keys:
        return []
    groups: dict[str, list[Variant]] = {}
    for variant in found:
        rest = [key for key in keys if key not in ("layers", "k")]
        groups.setdefault(label(variant, rest) if rest else "", []).append(variant)
    values = [value for v in found if (value := _value(v, protocol)) is not None]
    limits = (min(values), max(values)) if values else (0.0, 100.0)
    maps = [(name, _heat(group, protocol, limits, f"{protocol}-{n}")) for n, (name, group) in enumerate(groups.items())]
    return maps if values else []


def _heat(group: Sequence[Variant], protocol: str, limits: tuple[float, float], salt: str) -> Markup:
    rows = list(dict.fromkeys(v.settings["layers"] for v in group))
    ks = sorted({v.k for v in group}, key=k_order)
    grid = np.full((len(rows), len(ks)), np.nan)
    for variant in group:
        value = _value(variant, protocol)
        grid[rows.index(variant.settings["layers"]), ks.index(variant.k)] = np.nan if value is None else value
    with mpl.rc_context(STYLE | {"svg.hashsalt": f"heat-{salt}"}):
        figure, ax = _axes(1.6 + 0.75 * len(ks), 0.8 + 0.42 * len(rows))
        ax.pcolormesh(grid, cmap="cividis", vmin=limits[0], vmax=limits[1], edgecolor="none")
        for (row, column), value in np.ndenumerate(grid):
            dark = value > (limits[0] + limits[1]) / 2
            text = "" if np.isnan(value) else f"{value:.1f}"
            ax.text(column + 0.5, row + 0.5, text, ha="center", va="center", color="#000000" if dark else "#ffffff")
        ax.set_xticks(np.arange(len(ks)) + 0.5, ks)
        ax.set_yticks(np.arange(len(rows)) + 0.5, rows)
        ax.invert_yaxis()
        ax.tick_params(length=0)
        ax.spines[:].set_visible(False)
        ax.set(xlabel="K", ylabel="layers")
        return _svg(figure, f"{TITLES[protocol]} by layers and K")


def _series(found: Sequence[Variant]) -> dict[str, list[Variant]]:
    """Variants that differ in K alone, by what sets them apart from the others."""
    keys = [key for key in axes(found) if key != "k"] or ["model", "training"]
    series: dict[str, list[Variant]] = {}
    for variant in found:
        series.setdefault(label(variant, keys), []).append(variant)
    return series


def _draw(
    ax: Axes, ks: Sequence[str], line: Sequence[Variant], protocol: str, name: str, number: int, shift: float
) -> None:
    """A line through the values; the intervals stand a little apart, so that those of several lines can be read."""
    scores: list[tuple[int, Mapping[str, Any]]] = sorted((ks.index(v.k), v.scores[protocol]) for v in line)
    x = np.array([place for place, _ in scores]) + shift
    value, low, high = (np.array([score[part] for _, score in scores]) for part in ("value", "low", "high"))
    style = _line_style(number)
    ax.vlines(x, low, high, color=style["color"], alpha=0.55, linewidth=1.4)
    ax.plot(x, value, label=name, **style)


def _line_style(number: int) -> dict[str, Any]:
    return {
        "color": LINES[number % len(LINES)],
        "marker": MARKERS[number % len(MARKERS)],
        "linestyle": DASHES[number // len(LINES) % len(DASHES)],
    }


def _sample(number: int) -> Markup:
    with mpl.rc_context(STYLE | {"svg.hashsalt": f"key-{number}"}):
        figure, ax = _axes(0.5, 0.2)
        ax.plot([0, 1, 2], [0, 0, 0], **_line_style(number), markevery=[1])
        ax.set_axis_off()
        return _svg(figure, "")


def _axes(width: float, height: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.add_subplot()


def _value(variant: Variant, protocol: str) -> float | None:
    score = variant.scores.get(protocol)
    return None if score is None else score["value"]


def _svg(figure: Figure, title: str) -> Markup:
    """The figure as an element of the page: no XML head, no fixed font, colours that follow the theme."""
    file = io.StringIO()
    figure.savefig(file, format="svg", transparent=True, metadata={"Date": None})
    text = file.getvalue()
    text = text[text.index("<svg") :].replace(INK, "var(--ink)").replace(FAINT, "var(--faint)")
    text = re.sub(r"font-family: [^;\"]*", "font-family: inherit", re.sub(r"(?s)<metadata>.*?</metadata>", "", text))
    alt = f'role="img" aria-label="{escape(title)}"' if title else 'aria-hidden="true"'
    return Markup(text.replace("<svg ", f"<svg {alt} ", 1))
