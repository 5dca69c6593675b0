"""Plots of the report as inline SVG, which follows the page's fonts and its light or dark theme."""

import io
import re
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from jaxtyping import Float
from markupsafe import Markup, escape
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nave.metrics.bootstrap import Score
from nave.runs.labels import axes, label
from nave.runs.layout import k_order
from nave.runs.reader import RunAtK
from nave.viz.palette import LINES, MARKERS

TITLES = {
    "corloc": "CorLoc",
    "ap50": "AP50, class-agnostic",
    "nave": "NAVE protocol (upper bound)",
    "ar100": "AR@100",
}
INK, FAINT = "#0a0b0c", "#0d0e0f"  # placeholders, replaced by the page's CSS variables in the SVG
DASHES = ("-", "--", ":", "-.")
STYLE: dict[Any, Any] = {  # Any: matplotlib's keys are literals, which | of two dicts loses
    "svg.fonttype": "none",
    "text.parse_math": False,  # names may contain dollar signs
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


def over_k(runs: Sequence[RunAtK], protocol: str) -> Markup | None:
    """Plots a score over K, one line with 95 % intervals for each group of runs that differ in K alone.

    None if there is a single K or nothing was scored.
    """
    scored = [run for run in runs if _value(run, protocol) is not None]
    ks = sorted({run.k for run in scored}, key=k_order)
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


def key(runs: Sequence[RunAtK]) -> list[tuple[str, Markup]]:
    """Name and sample of each line of :func:`over_k`, for one legend beside all plots."""
    return samples(list(_series(runs)))


def over_steps(steps: Sequence[str], curves: Mapping[str, Sequence[Score | None]], title: str) -> Markup:
    """Plots figures over the steps of a training, with 95 % intervals."""
    with mpl.rc_context(STYLE | {"svg.hashsalt": f"over-steps-{title}"}):
        figure, ax = _axes(4.6, 3.1)
        for number, (name, curve) in enumerate(curves.items()):
            known = [(place, score) for place, score in enumerate(curve) if score is not None]
            x = np.array([place for place, _ in known]) + 0.04 * number
            _points(ax, x, [score for _, score in known], name, number)
        ax.set_xticks(range(len(steps)), steps)
        ax.set(ylabel="percent", title=title)
        ax.set_ylim(bottom=0)
        ax.grid(axis="y")
        return _svg(figure, f"{', '.join(curves)} over {', '.join(steps)}; diff.csv holds every value")


def samples(names: Sequence[str]) -> list[tuple[str, Markup]]:
    """Name and sample of each line of :func:`over_steps`."""
    return [(name, _sample(number)) for number, name in enumerate(names)]


def layers_by_k(runs: Sequence[RunAtK], protocol: str) -> list[tuple[str, Markup]]:
    """Heat maps of a score by layers and K, one for each group of runs that differ in these alone.

    Empty if the layers do not differ or nothing was scored.
    """
    keys = axes(runs)
    if "layers" not in keys:
        return []
    groups: dict[str, list[RunAtK]] = {}
    for run in runs:
        rest = [key for key in keys if key not in ("layers", "k")]
        groups.setdefault(label(run, rest) if rest else "", []).append(run)
    values = [value for run in runs if (value := _value(run, protocol)) is not None]
    limits = (min(values), max(values)) if values else (0.0, 100.0)
    maps = [(name, _heat(group, protocol, limits, f"{protocol}-{n}")) for n, (name, group) in enumerate(groups.items())]
    return maps if values else []


def _heat(group: Sequence[RunAtK], protocol: str, limits: tuple[float, float], salt: str) -> Markup:
    rows = list(dict.fromkeys(run.settings["layers"] for run in group))
    ks = sorted({run.k for run in group}, key=k_order)
    grid = np.full((len(rows), len(ks)), np.nan)
    for run in group:
        value = _value(run, protocol)
        grid[rows.index(run.settings["layers"]), ks.index(run.k)] = np.nan if value is None else value
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


def _series(runs: Sequence[RunAtK]) -> dict[str, list[RunAtK]]:
    """Groups the runs that differ in K alone, by their other settings."""
    keys = [key for key in axes(runs) if key != "k"] or ["model", "training"]
    series: dict[str, list[RunAtK]] = {}
    for run in runs:
        series.setdefault(label(run, keys), []).append(run)
    return series


def _draw(
    ax: Axes, ks: Sequence[str], line: Sequence[RunAtK], protocol: str, name: str, number: int, shift: float
) -> None:
    """Draws one line; ``shift`` separates the intervals of several lines."""
    scores = sorted(((ks.index(run.k), run.scores[protocol]) for run in line), key=lambda place: place[0])
    _points(ax, np.array([place for place, _ in scores]) + shift, [score for _, score in scores], name, number)


def _points(ax: Axes, x: Float[np.ndarray, " n"], scores: Sequence[Score], name: str, number: int) -> None:
    numbers = [(score["value"], score["low"], score["high"]) for score in scores]
    value, low, high = np.array(numbers, float).reshape(-1, 3).T  # NaN without an interval, which is not drawn
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


def _value(run: RunAtK, protocol: str) -> float | None:
    score = run.scores.get(protocol)
    return None if score is None else score["value"]


def _svg(figure: Figure, title: str) -> Markup:
    """The figure as an SVG element without XML declaration, with the page's fonts and colours."""
    file = io.StringIO()
    figure.savefig(file, format="svg", transparent=True, metadata={"Date": None})
    text = file.getvalue()
    text = text[text.index("<svg") :].replace(INK, "var(--ink)").replace(FAINT, "var(--faint)")
    text = re.sub(r"font-family: [^;\"]*", "font-family: inherit", re.sub(r"(?s)<metadata>.*?</metadata>", "", text))
    alt = f'role="img" aria-label="{escape(title)}"' if title else 'aria-hidden="true"'
    return Markup(text.replace("<svg ", f"<svg {alt} ", 1))
