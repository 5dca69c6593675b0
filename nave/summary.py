"""A sweep's jobs side by side: one row for every job and K."""

import csv
import io
import json
import os
from pathlib import Path
from typing import Any

from rich.table import Table

from nave.alive import state
from nave.results import METRICS, RUN, RunFolder, prediction_folders
from nave.resume import refusal
from nave.terminal import score_text

PROTOCOLS = ("nave", "corloc", "ap50", "ar100")
HEADINGS = ("job", "k", "images", *PROTOCOLS, "images/s", "status")
Row = dict[str, Any]


def summary(folder: Path, ended: bool = False) -> list[Row]:
    """Rows in the order of the jobs' names, whatever became of the job.

    ``ended``: the sweep is over, so what still says that it runs was killed.
    """
    rows: list[Row] = []
    for path in sorted(folder.glob(f"*/{RUN}")):
        record = json.loads(path.read_text(encoding="utf-8"))
        record |= _standing(record, path.parent, ended)
        for results in _results(path.parent, record["status"]):
            rows.append(_row(record, path.parent, results))
    return rows


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
    scores = json.loads((results / METRICS).read_text(encoding="utf-8")) if finished else {}
    return {
        "job": job.name,
        "status": record["status"],
        "model": config["model"]["name"],
        "training": record.get("training", config["training"]),
        "k": config["k"] if results == job else results.name.removeprefix("k"),
        "images": record["images"] if finished else len(RunFolder(job, _ks(config["k"])).finished()),
        "total": record.get("total"),
        "images_per_second": record["images_per_second"] if finished else None,
        "seconds": record["seconds"]["total"] if finished else None,
        **{name: scores.get(name) for name in PROTOCOLS},
        "error": record.get("error", ""),
    }


def _ks(k: Any) -> list[Any]:
    return k if isinstance(k, list) else [k]


def as_csv(rows: list[Row]) -> str:
    """Scores in three columns each: value, low, high."""
    flat = [_flat(row) for row in rows]
    file = io.StringIO()
    writer = csv.DictWriter(file, fieldnames=list(flat[0]) if flat else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(flat)
    return file.getvalue()


def _flat(row: Row) -> Row:
    flat = {key: value for key, value in row.items() if key not in PROTOCOLS}
    for name in PROTOCOLS:
        score = row[name] or {}
        flat |= {name: score.get("value"), f"{name}_low": score.get("low"), f"{name}_high": score.get("high")}
    return flat


def as_markdown(rows: list[Row]) -> str:
    """The table that is printed, for a README or an issue."""
    lines = [HEADINGS, tuple("---" for _ in HEADINGS), *(_cells(row) for row in _short(rows))]
    return "".join("| " + " | ".join(_one_line(cell) for cell in line) + " |\n" for line in lines)


def _one_line(cell: str) -> str:
    return " ".join(cell.replace("|", "\\|").split())


def as_table(rows: list[Row]) -> Table:
    """The summary for a terminal."""
    table = Table()
    for heading in HEADINGS:
        table.add_column(heading, overflow="fold")
    for row in _short(rows):
        table.add_row(*_cells(row))
    return table


def _short(rows: list[Row]) -> list[Row]:
    """The jobs' names without the end that all share: what was not swept over."""
    names = {row["job"] for row in rows}
    shared = os.path.commonprefix([name[::-1] for name in names])[::-1]
    _, dash, tail = shared.partition("-")
    return [row | {"job": row["job"].removesuffix(dash + tail)} for row in rows] if len(names) > 1 else rows


def _cells(row: Row) -> tuple[str, ...]:
    scores = ("-" if row[name] is None else score_text(row[name]) for name in PROTOCOLS)
    status = row["status"] + (f": {row['error']}" if row["error"] else "")
    speed = "" if row["images_per_second"] is None else f"{row['images_per_second']:.2f}"
    return (row["job"], str(row["k"]), _progress(row), *scores, speed, status)


def _progress(row: Row) -> str:
    return f"{row['images']} of {row['total'] or '?'}" if row["status"] != "ok" else str(row["images"])
