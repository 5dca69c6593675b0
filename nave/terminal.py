"""What a person sees while and after a run: tables that also read well in a log file."""

import json
from collections.abc import Iterable, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from nave.metrics.bootstrap import Score
from nave.metrics.overlap import overlaps
from nave.metrics.prediction import Prediction
from nave.results import METRICS, prediction_folders, predictions

ROWS, LOG_WIDTH = 20, 120


def show(*renderables: Any) -> None:
    """Prints on standard output: colours in a terminal only, NO_COLOR respected; in a log every line at full length.

    Names of files may hold what Rich takes for markup or emoji: they are printed as they are.
    """
    console = Console(markup=False, emoji=False, highlight=False)
    if not console.is_terminal:
        unbounded = console.options.update(max_width=10_000)
        console.width = max(LOG_WIDTH, *(console.measure(one, options=unbounded).maximum for one in renderables))
    console.print(*renderables)


def image_table(lines: Iterable[Mapping[str, Any]], images: int) -> Table:
    """One row an image: clusters, the one box, its overlap with the best true box; the first ones of ``images``."""
    table = Table(caption=_rest(images))
    for heading in ("image", "size", "k", "clusters", "components", "box x1 y1 x2 y2", "IoU"):
        table.add_column(heading, justify="left" if heading == "image" else "right")
    for line in islice(lines, ROWS):
        overlap = best_overlap(line)
        table.add_row(
            line["image_id"],
            f"{line['width']} x {line['height']}",
            str(line["k"]),
            str(line["clusters"]),
            str(len(line["components"])),
            " ".join(f"{side:.0f}" for side in line["box"]),
            "" if overlap is None else f"{overlap:.2f}",
        )
    return table


def best_overlap(line: Mapping[str, Any]) -> float | None:
    """Overlap of the one box with the true box that it fits best; None where no object is known."""
    image = Prediction.from_line(line)
    if image.box is None or image.truth is None or not len(image.truth.boxes):
        return None
    return float(overlaps([image.box[None]], [image.truth.boxes])[0].max())


def _rest(count: int) -> str | None:
    return f"and {count - ROWS} more in predictions.jsonl" if count > ROWS else None


def score_table(title: str, scores: Mapping[str, Mapping[str, Score]]) -> Table:
    """One row a figure, one column for every K: percent with its 95 % interval. What nobody could score is left out."""
    table = Table(title=title, title_justify="left")
    table.add_column("")
    for folder in scores:
        table.add_column(folder if len(scores) > 1 else "", justify="right")
    table.add_column("images", justify="right")
    for name, first in next(iter(scores.values())).items():
        found = [row[name] for row in scores.values()]
        if any(score["value"] is not None for score in found):
            table.add_row(name, *map(score_text, found), str(first["images"]))
    return table


def score_text(score: Score) -> str:
    """``62.0 (52.0 to 71.0)``, or a dash where nothing could be scored."""
    if score["value"] is None:
        return "-"
    return f"{score['value']:.1f} ({score['low']:.1f} to {score['high']:.1f})"


def show_run(folder: Path, record: Mapping[str, Any]) -> None:
    """The images, the scores, what could not be read, and where everything lies."""
    scores = {}
    for results in prediction_folders(folder):
        scores[results.name] = json.loads((results / METRICS).read_text())
        show(image_table(predictions(results), record["images"]))
    if any(score["value"] is not None for row in scores.values() for score in row.values()):
        show(score_table("percent, with the 95 % interval", scores))
    for image in record["unreadable"]:
        show(f"skipped {image['image_id']}: {image['reason']}")
    show(f"{record['images']} images, {record['images_per_second']:.2f} a second, written to {folder}")
