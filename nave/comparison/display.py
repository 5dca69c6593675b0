"""A comparison as tables, plot, figure of maps and files."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from rich.table import Table

from nave.comparison.figure import STYLE, WIDTHS, figure, save
from nave.comparison.measure import ANY
from nave.comparison.pictures import Picture
from nave.comparison.rows import Row
from nave.comparison.scores import SCORE
from nave.metrics.bootstrap import Score
from nave.metrics.segmentation import COUNTERPART
from nave.runs.files import write_csv, write_json
from nave.runs.layout import k_order
from nave.runs.reader import RunAtK
from nave.viz.palette import LINES, MARKERS
from nave.viz.terminal import FittedTable, score_text

TITLES = {
    "score": "score (see metrics.json)",
    "mask_found": "cluster of its own, by mask (share of images, IoU of 0.5 or more)",
    "box_found": "cluster of its own, by box (share of images, IoU of 0.5 or more)",
    "mask_overlap": "overlap of the best cluster with the class's mask",
    "box_overlap": "overlap of the best component's box with an object's box",
    "saturation": "saturation: the watermark has a cluster of its own (share of images)",
    "watermark_overlap": "overlap of the best cluster with the watermark",
    "watermark_inertia": "share of the explained inertia that this cluster takes",
    "fragmentation": "pixels outside their cluster's largest component",
    "ari": "agreement of maps (ARI)",
    "matched_iou": "agreement of maps (matched IoU)",
    "vanished": f"clusters that vanished (without a counterpart of IoU {COUNTERPART} or more)",
    "appeared": f"clusters that appeared (without a counterpart of IoU {COUNTERPART} or more)",
    "changed": "pixels whose cluster is no counterpart",
    "concepts_kept": "concepts with a counterpart",
    "concepts_again": "concepts with a counterpart: same maps, concepts of another seed",
    "concepts_new": "concepts without one before",
    "concept_overlap": "overlap of matched concepts (IoU over all images)",
}


def tables(rows: Sequence[Row], classes: bool = False) -> list[Table]:
    """Tables in percent with 95 % intervals: quantities, then agreements and differences for each reference.

    The figures over all objects come first and in bold; those of single classes follow if ``classes`` is true.
    """
    rows = [row for row in rows if classes or row.concept in ("", ANY) or _is_overall_score(row)]
    references = dict.fromkeys(row.against for row in rows if row.against)
    return [_table("percent, with the 95 % interval", [row for row in rows if not row.against])] + [
        _table(f"against {reference}", [row for row in rows if row.against == reference]) for reference in references
    ]


def _is_overall_score(row: Row) -> bool:
    return row.quantity == SCORE and "/" not in row.concept  # corloc/cat is that of a class


def presence_table(present: Mapping[tuple[str, str], Sequence[int]], quantity: str) -> Table:
    """A table of the K at which each concept has a cluster, by run; see :func:`nave.comparison.rows.present_by_run`."""
    runs = list(dict.fromkeys(run for _, run in present))
    title = f"{TITLES[quantity].partition(' (')[0]}, in half of the images or more: at K"
    table = FittedTable("concept", *runs, title=title, title_justify="left", expendable=runs[:0:-1])
    for concept in _whole_first(concept for concept, _ in present):
        cells = (", ".join(map(str, present.get((concept, run), ()))) or "-" for run in runs)
        table.add_row(concept, *cells, style="bold" if concept == ANY else None)
    return table


def _table(title: str, rows: Sequence[Row]) -> Table:
    columns = list(dict.fromkeys((row.run, row.k) for row in rows))
    cells = {(row.quantity, row.concept, row.run, row.k): row.score for row in rows}
    headings = [f"{run}\nK {k}" for run, k in columns]
    table = FittedTable("", "concept", title=title, title_justify="left", kept_in="comparison.csv")
    table.expendable = ["images", *headings[:0:-1]]
    for heading in (*headings, "images"):
        table.add_column(heading, justify="right")
    for quantity, name in TITLES.items():
        for concept in _whole_first(row.concept for row in rows if row.quantity == quantity):
            scores = [cells.get((quantity, concept, *column)) for column in columns]
            texts = ("-" if score is None else score_text(score) for score in scores)
            table.add_row(name, concept, *texts, _images(scores), style="bold" if concept == ANY else None)
    return table


def _images(scores: Sequence[Score | None]) -> str:
    """The number of images behind the figures of a row: one for all, or one for every column."""
    counts = [None if score is None else score["images"] for score in scores]
    known = {count for count in counts if count is not None}
    return str(*known) if len(known) == 1 else " / ".join("-" if count is None else str(count) for count in counts)


def _whole_first(concepts: Iterable[str]) -> list[str]:
    return sorted(dict.fromkeys(concepts), key=lambda concept: concept != ANY)


AT_MOST = 8  # concepts in the plot: those of most images


def plot(rows: Sequence[Row]) -> Figure:
    """Plots one panel per K with a point and its 95 % interval for every concept and run; the watermark comes last.

    Shows shares by mask if the runs have masks, else by box; without objects, the fragmentation of clusters.
    """
    shown = _shown(rows)
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
        if (best := _best(rows)) != "fragmentation":
            panels[0].set_title(TITLES[best], loc="left")
        page.legend(*panels[0].get_legend_handles_labels(), loc="outside upper left", frameon=False)
    return page


def _shown(rows: Sequence[Row]) -> list[Row]:
    defined = [row for row in rows if not row.against and row.score["value"] is not None]
    return [row for row in defined if row.quantity in (_best(rows), "saturation")]


def _best(rows: Sequence[Row]) -> str:
    names = {row.quantity for row in rows if not row.against and row.score["value"] is not None}
    return next(name for name in ("mask_found", "box_found", "fragmentation") if name in names)


def _name(row: Row) -> str:
    return row.concept or {"saturation": "watermark"}.get(row.quantity, row.quantity)


def _concepts(shown: Sequence[Row]) -> list[str]:
    images: Counter[str] = Counter()
    for row in shown:
        images[_name(row)] = max(images[_name(row)], row.score["images"])
    kept = [name for name, _ in images.most_common(AT_MOST)]
    return sorted(kept, key=lambda name: (name == "watermark", name != ANY, name))


def _points(ax: Axes, rows: Sequence[Row], concepts: Sequence[str], number: int, shift: float) -> None:
    scores = [(concepts.index(_name(row)), row.score) for row in rows if _name(row) in concepts]
    x = [place + shift for place, _ in scores]
    intervals = np.array([(score["value"], score["low"], score["high"]) for _, score in scores], float)
    value, low, high = intervals.reshape(-1, 3).T
    colour = LINES[number % len(LINES)]
    ax.vlines(x, low, high, color=colour, linewidth=1)
    ax.plot(
        x,
        value,
        linestyle="none",
        marker=MARKERS[number % len(MARKERS)],
        markersize=3.5,
        color=colour,
        label=rows[0].run if rows else None,
    )


def write(folder: Path, rows: Sequence[Row]) -> None:
    """Writes comparison.json, comparison.csv and the plot as PDF and PNG."""
    write_json(folder / "comparison.json", [row.flat() for row in rows])
    write_csv(folder / "comparison.csv", [row.flat() for row in rows])
    page = plot(rows)
    for suffix in ("pdf", "png"):
        save(page, folder / f"comparison.{suffix}")


def write_maps(folder: Path, runs: Sequence[RunAtK], shown: Sequence[Picture]) -> None:
    """Writes maps.pdf and maps.png; raises the errors of :func:`nave.comparison.figure.figure`."""
    page = figure(runs, shown)
    for suffix in ("pdf", "png"):
        save(page, folder / f"maps.{suffix}")
