"""A sweep's jobs side by side, after ``python -m nave.run -m …``."""

import csv
import io
import json
import sys
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig
from rich.table import Table

from nave.results import METRICS, RUN, write_whole
from nave.terminal import score_text, show

PROTOCOLS = ("nave", "corloc", "ap50", "ar100")


class Summary(Callback):
    """Writes and prints the summary once all jobs have ended; the process fails if any job did."""

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Called by Hydra where the sweep was launched."""
        folder = Path(config.hydra.sweep.dir)
        rows = summary(folder)
        write_whole(folder / "summary.csv", as_csv(rows))
        write_whole(folder / "summary.md", as_markdown(rows))
        show(as_table(rows), f"written to {folder}")
        if any(row["status"] != "ok" for row in rows):
            sys.exit(1)


def summary(folder: Path) -> list[dict[str, Any]]:
    """One row for every job and K under ``folder``, in the jobs' names' order, whatever became of the job."""
    rows: list[dict[str, Any]] = []
    for path in sorted(folder.glob(f"*/{RUN}")):
        record = json.loads(path.read_text())
        found = sorted(path.parent.glob(f"k*/{METRICS}")) or [path.parent / METRICS]
        rows += [_row(record, path.parent.name, metrics) for metrics in found]
    return rows


def _row(record: dict[str, Any], job: str, path: Path) -> dict[str, Any]:
    config = record["config"]
    k = path.parent.name[1:] if path.parent.name != job else config["k"]
    scores = json.loads(path.read_text()) if path.is_file() else {}
    return {
        "job": job,
        "status": record["status"],
        "model": config["model"]["name"],
        "training": record.get("training", config["training"]),
        "k": k,
        "images": record.get("images"),
        "images_per_second": record.get("images_per_second"),
        "seconds": record.get("seconds", {}).get("total"),
        **{name: scores.get(name) for name in PROTOCOLS},
        "error": record.get("error", ""),
    }


def as_csv(rows: list[dict[str, Any]]) -> str:
    """Scores in three columns each: value, low, high."""
    flat = [_flat(row) for row in rows]
    file = io.StringIO()
    writer = csv.DictWriter(file, fieldnames=list(flat[0]) if flat else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(flat)
    return file.getvalue()


def _flat(row: dict[str, Any]) -> dict[str, Any]:
    flat = {key: value for key, value in row.items() if key not in PROTOCOLS}
    for name in PROTOCOLS:
        score = row[name] or {}
        flat |= {name: score.get("value"), f"{name}_low": score.get("low"), f"{name}_high": score.get("high")}
    return flat


def as_markdown(rows: list[dict[str, Any]]) -> str:
    """The table that is printed, for a README or an issue."""
    lines = [HEADINGS, tuple("---" for _ in HEADINGS), *(_cells(row) for row in rows)]
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines)


HEADINGS = ("model", "training", "k", "images", *PROTOCOLS, "images/s", "status")


def as_table(rows: list[dict[str, Any]]) -> Table:
    """The summary for a terminal."""
    table = Table()
    for heading in HEADINGS:
        table.add_column(heading)
    for row in rows:
        table.add_row(*_cells(row))
    return table


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    scores = ("-" if row[name] is None else score_text(row[name]) for name in PROTOCOLS)
    status = row["status"] if row["status"] == "ok" else f"{row['status']}: {row['error']}"
    speed = "" if row["images_per_second"] is None else f"{row['images_per_second']:.2f}"
    return (row["model"], row["training"], str(row["k"]), str(row["images"] or ""), *scores, speed, status)
