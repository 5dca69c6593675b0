"""A sweep's jobs side by side: one row for every job and K."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import yaml
from rich.table import Table

from nave.alive import state
from nave.results import METRICS, RUN, RunFolder, prediction_folders
from nave.resume import refusal
from nave.terminal import score_text

PROTOCOLS = ("nave", "corloc", "ap50", "ar100")
FIGURES = (*PROTOCOLS, "miou", "object_miou", "class_miou", "ari", "nmi", "balance", "coherence", "stability")
Row = dict[str, Any]


def summary(folder: Path, ended: bool = False) -> list[Row]:
    """Rows in the order of the jobs' names, whatever became of the job.

    ``ended``: the sweep is over, so what still says that it runs was killed.
    """
    rows: list[Row] = []
    for path in sorted(folder.glob(f"*/{RUN}")):
        record = json.loads(path.read_text(encoding="utf-8"))
        record |= _standing(record, path.parent, ended)
        rows += [_row(record, path.parent, results) for results in _results(path.parent, record["status"])]
    return rows


def varied(rows: list[Row]) -> list[str]:
    """The keys that the sweep varies, in the order of the command line; a number of clusters is a column anyway."""
    keys = dict.fromkeys(key for row in rows for key in row["choices"])
    return [key for key in keys if key != "k" and len({row["choices"].get(key) for row in rows}) > 1]


def figures(rows: list[Row]) -> list[str]:
    """What the table shows: the box protocols; where no job could score boxes, whatever else is known."""
    known = [name for name in FIGURES if any(row[name] and row[name]["value"] is not None for row in rows)]
    return list(PROTOCOLS) if set(PROTOCOLS) & set(known) or not known else known


def _choices(job: Path) -> dict[str, str]:
    """The overrides of one job by key."""
    path = job / ".hydra" / "overrides.yaml"
    overrides = yaml.safe_load(path.read_text(encoding="utf-8")) if path.is_file() else []
    return dict(override.lstrip("+").split("=", 1) for override in overrides if "=" in override)


def _standing(record: Row, job: Path, ended: bool) -> Row:
    refused = refusal(job)
    if refused.is_file():
        return {"status": "refused", "error": refused.read_text(encoding="utf-8")}
    return {"status": state(record, job, ended)}


def _results(job: Path, status: str) -> list[Path]:
    """A folder for every K of a finished job; the job's own for another, however far it came."""
    return prediction_folders(job) if status == "ok" else [job]


def _row(record: Row, job: Path, results: Path) -> Row:
    config, finished = record["config"], record["status"] == "ok"
    ks = record.get("ks") or _as_list(config["k"])
    scores = json.loads((results / METRICS).read_text(encoding="utf-8")) if finished else {}
    return {
        "job": job.name,
        "choices": _choices(job),
        "status": record["status"],
        "model": config["model"]["name"],
        "training": record.get("training", config["training"]),
        "k": _shown_k(config["k"], ks) if results == job else results.name.removeprefix("k"),
        "images": record["images"] if finished else len(RunFolder(job, ks).finished()),
        "total": record.get("total"),
        "images_per_second": record["images_per_second"] if finished else None,
        "seconds": record["seconds"]["total"] if finished else None,
        **{name: scores.get(name) for name in FIGURES},
        "error": record.get("error", ""),
    }


def _as_list(k: Any) -> list[Any]:
    return k if isinstance(k, list) else [k]


def _shown_k(asked: Any, used: list[Any]) -> Any:
    return asked if used == _as_list(asked) else "-"  # a peer, which makes its map without clusters


def as_csv(rows: list[Row]) -> str:
    """Scores in three columns each: value, low, high."""
    names = [name for name in varied(rows) if name not in ("model", "training")]
    flat = [_flat(row, names) for row in rows]
    file = io.StringIO()
    writer = csv.DictWriter(file, fieldnames=list(flat[0]) if flat else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(flat)
    return file.getvalue()


def _flat(row: Row, names: list[str]) -> Row:
    flat = {key: value for key, value in row.items() if key not in (*FIGURES, "choices")}
    flat |= {name: row["choices"].get(name) for name in names}
    for name in FIGURES:
        score = row[name] or {}
        flat |= {name: score.get("value"), f"{name}_low": score.get("low"), f"{name}_high": score.get("high")}
    return flat


def as_markdown(rows: list[Row]) -> str:
    """The table that is printed, for a README or an issue."""
    headings, *lines = _lines(rows)
    lines = [headings, ["---"] * len(headings), *lines]
    return "".join("| " + " | ".join(_one_line(cell) for cell in line) + " |\n" for line in lines)


def _one_line(cell: str) -> str:
    return " ".join(cell.replace("|", "\\|").split())


def as_table(rows: list[Row]) -> Table:
    """The summary for a terminal."""
    table = Table()
    headings, *lines = _lines(rows)
    for heading in headings:
        table.add_column(heading, overflow="fold")
    for line in lines:
        table.add_row(*line)
    return table


def _lines(rows: list[Row]) -> list[list[str]]:
    """Headings and cells. What tells the jobs apart comes first: what was varied, or else their names."""
    names, shown = varied(rows), figures(rows)
    headings = [*(names or ["job"]), "k", "images", *shown, "images/s", "status"]
    return [headings, *(_cells(row, names, shown) for row in rows)]


def _cells(row: Row, names: list[str], shown: list[str]) -> list[str]:
    first = [row["choices"].get(name, "") for name in names] or [row["job"]]
    scores = ("-" if row[name] is None else score_text(row[name]) for name in shown)
    status = row["status"] + (f": {row['error'].splitlines()[0]}" if row["error"] else "")
    speed = "" if row["images_per_second"] is None else f"{row['images_per_second']:.2f}"
    return [*first, str(row["k"]), _progress(row), *scores, speed, status]


def _progress(row: Row) -> str:
    return f"{row['images']} of {row['total'] or '?'}" if row["status"] != "ok" else str(row["images"])
