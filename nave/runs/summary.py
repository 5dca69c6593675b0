"""Summary tables: the images of a run, and the jobs of a sweep."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import yaml
from rich.table import Table

from nave.metrics import PROTOCOLS, SCORES
from nave.metrics.bootstrap import Score
from nave.metrics.prediction import Prediction, best_overlap
from nave.runs.claim import state
from nave.runs.journal import Journal
from nave.runs.layout import RUN, RunFolder, k_text
from nave.runs.prediction import Line, read_lines
from nave.runs.reader import Run
from nave.runs.record import read_record, training_of
from nave.viz.terminal import FittedTable, announce, score_table, score_text

NUMBERS = ("k", "images", *SCORES, "images/s")
ROWS = 20  # images in the table of a run
NAMED = ("weights", "weights_key", "training_name")  # keys that the name of the training stands for


def show_run(run: Run) -> None:
    """Prints the images of a run, its scores, what was left out or decided, and its folder."""
    record = run.record
    for at_k in run.at_k:
        announce(image_table(read_lines(at_k.results), record["images"]))
    scores = {at_k.results.path.name: at_k.scores for at_k in run.at_k}
    if any(score["value"] is not None for by_name in scores.values() for score in by_name.values()):
        announce(score_table("percent, with the 95 % interval", scores))
    for image in record["unreadable"]:
        announce(f"skipped {image['image_id']}: {image['reason']}")
    for reason, count in record.get("passed_over", {}).items():
        announce(f"passed over: {count} {reason}")
    for remark, count in record.get("remarks", {}).items():
        announce(f"{count} of {record.get('total', '?')} images: {remark}")
    speed = record["images_per_second"]
    announce(f"{record['images']} images, {speed:.2f} a second, written to {run.folder.path}")


def image_table(lines: Iterable[Line], images: int) -> Table:
    """One row per image: clusters, components, the box and, where one has a truth, its overlap with the best true box.

    Args:
        lines: Predictions; the first ones are shown.
    """
    rest = f"and {images - ROWS} more in predictions.jsonl" if images > ROWS else None
    table = FittedTable(caption=rest, expendable=["size", "clusters", "components"], kept_in="predictions.jsonl")
    shown = list(islice(lines, ROWS))
    overlaps = [best_overlap(Prediction.from_line(line)) for line in shown]
    truth = [] if all(overlap is None for overlap in overlaps) else ["IoU"]
    for heading in ("image", "size", "k", "clusters", "components", "box x1 y1 x2 y2", *truth):
        table.add_column(heading, justify="left" if heading == "image" else "right")
    for line, overlap in zip(shown, overlaps, strict=True):
        table.add_row(
            line["image_id"],
            f"{line['width']} x {line['height']}",
            k_text(line["k"]),
            str(line["clusters"]),
            str(len(line["components"])),
            " ".join(f"{side:.0f}" for side in line["box"]),
            *(["" if overlap is None else f"{overlap:.2f}"] if truth else []),
        )
    return table


@dataclass(frozen=True)
class Row:
    """One job of a sweep at one K.

    Attributes:
        job: Name of the job's folder.
        choices: The job's overrides by key.
        k: A number of clusters, ``auto`` or, for a baseline, a dash; all requested ones if the job did not finish.
        images: Number of finished images, of ``total``.
    """

    job: str
    choices: Mapping[str, str]
    status: str
    model: str
    training: str
    k: str
    images: int
    total: int | None
    images_per_second: float | None = None
    seconds: float | None = None
    scores: Mapping[str, Score] = field(default_factory=dict)
    error: str = ""

    def value(self, figure: str) -> float | None:
        """The score called ``figure``, in percent."""
        score = self.scores.get(figure)
        return None if score is None else score["value"]


def summary(folder: Path, ended: bool = False) -> list[Row]:
    """The rows of all jobs of a sweep, failed ones too, by name; in a sweep that has ``ended`` none is running."""
    jobs = [Run.read(path.parent) for path in sorted(folder.glob(f"*/{RUN}"))]
    return [row for job in jobs for row in _rows(job, ended)]


def varied(rows: Sequence[Row]) -> list[str]:
    """The keys that the sweep varies, in the order of the command line, without ``k``, which has its own column."""
    keys = dict.fromkeys(key for row in rows for key in row.choices)
    return [key for key in keys if key != "k" and len({row.choices.get(key) for row in rows}) > 1]


def shown_choices(rows: Sequence[Row]) -> list[str]:
    """The varied keys, with ``training`` in the place of files of weights, which its name tells apart."""
    return list(dict.fromkeys("training" if key in NAMED else key for key in varied(rows)))


def figures(rows: Sequence[Row]) -> list[str]:
    """The scores to show: the box protocols, or all others if no job has scored boxes."""
    known = [name for name in SCORES if any(row.value(name) is not None for row in rows)]
    return list(PROTOCOLS) if set(PROTOCOLS) & set(known) or not known else known


def _rows(job: Run, ended: bool) -> Iterator[Row]:
    """One row for every K of a finished job, a single row for another."""
    record, config = job.record, job.record["config"]
    common: dict[str, Any] = {
        "job": job.folder.path.name,
        "choices": dict(one.lstrip("+").split("=", 1) for one in overrides_of(job.folder) if "=" in one),
        "model": config["model"]["name"],
        "training": training_of(record),
        "total": record.get("total"),
    }
    refused = job.folder.refusal.is_file()
    if job.finished and not refused:
        for at_k in job.at_k:
            yield Row(
                **common,
                status="ok",
                k=at_k.k,
                images=record["images"],
                images_per_second=record["images_per_second"],
                seconds=record.get("seconds", {}).get("total"),
                scores=at_k.scores,
            )
        return
    requested = config["k"] if isinstance(config["k"], list) else [config["k"]]
    yield Row(
        **common,
        status="refused" if refused else state(record, job.folder, ended),
        k=", ".join(map(str, requested)),
        images=len(Journal(job.folder, record.get("ks", requested)).finished()),
        error=job.folder.refusal.read_text(encoding="utf-8") if refused else record.get("error", ""),
    )


def overrides_of(job: RunFolder) -> list[str]:
    """The overrides of a job, their ``${…}`` unresolved; not those of a later one that was refused its folder."""
    record = read_record(job)
    if record and "overrides" in record:
        return record["overrides"]
    path = job.path / ".hydra" / "overrides.yaml"
    return [str(override) for override in yaml.safe_load(path.read_text(encoding="utf-8"))] if path.is_file() else []


def flat(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """The rows for a CSV file; a score has three columns: value, low and high end of its interval."""
    names = [name for name in varied(rows) if name not in ("model", "training", "training_name")]
    return [_flat(row, names) for row in rows]


def _flat(row: Row, names: Sequence[str]) -> dict[str, Any]:
    flat = {key: value for key, value in vars(row).items() if key not in ("choices", "scores")}
    flat |= {name: row.choices.get(name) for name in names}
    for name in SCORES:
        score: Mapping[str, Any] = row.scores.get(name, {})
        flat |= {name: score.get("value"), f"{name}_low": score.get("low"), f"{name}_high": score.get("high")}
    return flat


def as_markdown(rows: Sequence[Row]) -> str:
    """The table as Markdown."""
    headings, *lines = _lines(rows)
    lines = [headings, ["---"] * len(headings), *lines]
    return "".join("| " + " | ".join(_one_line(cell) for cell in line) + " |\n" for line in lines)


def _one_line(cell: str) -> str:
    return " ".join(cell.replace("|", "\\|").split())


def as_table(rows: Sequence[Row]) -> Table:
    """The table for a terminal."""
    headings, *lines = _lines(rows)
    table = FittedTable(
        expendable=["images/s", "images", *(name for name in reversed(figures(rows)) if name != "corloc")],
        kept_in="summary.csv",
    )
    for heading in headings:
        table.add_column(heading, overflow="fold", justify="right" if heading in NUMBERS else "left")
    for line in lines:
        table.add_row(*line)
    return table


def _lines(rows: Sequence[Row]) -> list[list[str]]:
    """Headings, then cells. The varied keys come first, or the jobs' names if nothing was varied."""
    names, shown = shown_choices(rows), figures(rows)
    headings = [*(names or ["job"]), "k", "images", *shown, "images/s", "status"]
    return [headings, *(_cells(row, names, shown) for row in rows)]


def _cells(row: Row, names: Sequence[str], shown: Sequence[str]) -> list[str]:
    files = any(key in row.choices for key in NAMED)
    choices = {**row.choices, "training": row.training} if files else row.choices
    first = [choices.get(name, "") for name in names] or [row.job]
    scores = (score_text(row.scores[name]) if name in row.scores else "-" for name in shown)
    status = row.status + (f": {row.error.splitlines()[0]}" if row.error else "")
    images = f"{row.images} of {row.total or '?'}" if row.status != "ok" else str(row.images)
    speed = "" if row.images_per_second is None else f"{row.images_per_second:.2f}"
    return [*first, row.k, images, *scores, speed, status]
