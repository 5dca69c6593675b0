"""A diff in the terminal and as the lines of its page."""

from collections.abc import Iterator, Sequence
from itertools import pairwise

from rich.table import Table

from nave.comparison.diff import Pair, step_names
from nave.comparison.rows import Row
from nave.comparison.scores import SCORE
from nave.metrics import SCORES
from nave.metrics.bootstrap import Score
from nave.metrics.segmentation import COUNTERPART
from nave.runs.labels import names_without_k
from nave.runs.reader import RunAtK
from nave.viz.terminal import FittedTable, score_text

QUANTITIES = {
    "ari": "agreement of maps, ARI",
    "noise": "  same encoder, other seed",
    "beyond_noise": "  less than that by",
    "matched_iou": "agreement, matched IoU",
    "vanished": "clusters that vanished",
    "appeared": "clusters that appeared",
    "changed": "pixels that changed",
    "concepts_kept": "concepts with a counterpart",
    "concepts_again": "  same maps, other seed",
    "concepts_new": "concepts that are new",
}


def lines(measured: Sequence[Row], runs: Sequence[RunAtK], before: int, after: int) -> list[tuple[str, Score]]:
    """The rows of a pair as names and figures: agreement first, then the differences of scores."""
    names = names_without_k(runs)
    where = (names[after], runs[after].k, names[before])
    of_pair = [row for row in measured if (row.run, row.k, row.against) == where]
    found = {row.quantity: row.score for row in of_pair}
    agreement = [(name, found[quantity]) for quantity, name in QUANTITIES.items() if quantity in found]
    gains = {row.concept: row.score for row in of_pair if row.quantity == SCORE}
    named = {name: f"{name} of masks" if name in ("ari", "nmi") else name for name in SCORES if name in gains}
    return agreement + [(f"{shown}, after - before", gains[name]) for name, shown in named.items()]


def tables(runs: Sequence[RunAtK], found: Sequence[Pair], measured: Sequence[Row], count: int) -> Iterator[Table]:
    """For 80 columns: agreement, differences, the ``count`` images that changed most; of a training its steps."""
    if step_names(runs):
        for k in dict.fromkeys(run.k for run in runs):
            yield _steps(runs, measured, k)
    firsts = {runs[pair.before].k: pair for pair in reversed(found)}
    for pair in firsts.values() if step_names(runs) else found:
        yield _pair(runs, measured, pair)
        yield _images(pair, count)


def _pair(runs: Sequence[RunAtK], measured: Sequence[Row], pair: Pair) -> Table:
    names = names_without_k(runs)
    title = f"{names[pair.before]} -> {names[pair.after]}, K {runs[pair.before].k}: percent, with the 95 % interval"
    caption = f"a counterpart overlaps by IoU {COUNTERPART} or more, one to one"
    table = Table("", "", "images", title=title, caption=caption, title_justify="left", caption_justify="left")
    for name, score in lines(measured, runs, pair.before, pair.after):
        table.add_row(name, score_text(score), str(score["images"]))
    return table


def _images(pair: Pair, count: int) -> Table:
    title = f"changed most, of {len(pair.changes)} images"
    table = FittedTable("image", "ARI", "noise", "pixels", "vanished", "appeared", title=title, title_justify="left")
    for line in pair.by_change()[:count]:
        noise = "-" if line["noise"] is None else f"{line['noise']:.2f}"
        clusters = (str(len(line["vanished"])), str(len(line["appeared"])))
        table.add_row(line["image_id"], f"{line['ari']:.2f}", noise, f"{100 * line['changed']:.0f} %", *clusters)
    return table


def step_figures(runs: Sequence[RunAtK], measured: Sequence[Row], k: str) -> dict[str, list[Score | None]]:
    """Curves over the steps of a training at one K: agreement with the step before and the final one, and CorLoc."""
    own = [place for place, run in enumerate(runs) if run.k == k]
    names = names_without_k(runs)
    ari = {(row.against, row.run): row.score for row in measured if row.quantity == "ari" and row.k == k}
    scores = [runs[place].scores.get("corloc") for place in own]
    curves = {
        "ARI: step before": [ari.get((names[p], names[o])) for p, o in pairwise([own[0], *own])],
        "ARI: final step": [ari.get((names[o], names[own[-1]])) for o in own],
        "CorLoc": [None if score is None or score["value"] is None else score for score in scores],
    }
    return {name: curve for name, curve in curves.items() if any(curve)}


def _steps(runs: Sequence[RunAtK], measured: Sequence[Row], k: str) -> Table:
    curves = step_figures(runs, measured, k)
    table = Table("K " + k, *curves, title="over the training: percent, with the 95 % interval", title_justify="left")
    names = [name for name, run in zip(step_names(runs), runs, strict=True) if run.k == k]
    for place, name in enumerate(names):
        scores = (curve[place] for curve in curves.values())
        table.add_row(name, *("-" if score is None else score_text(score) for score in scores))
    return table
