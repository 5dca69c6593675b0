"""Reads finished runs from disk: what was asked, what was found, what it scored."""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nave.photographs import PHOTOGRAPHS
from nave.results import METRICS, PREDICTIONS, RUN, read_predictions

IMAGES = {"maps", "overlays", PHOTOGRAPHS}  # folders that hold no runs, but many files


@dataclass(frozen=True, eq=False)
class Run:
    """One job and its run.json; it may have failed."""

    folder: Path
    record: Mapping[str, Any]

    @property
    def finished(self) -> bool:
        """Whether it ended well."""
        return bool(self.record["status"] == "ok")


@dataclass(frozen=True, eq=False)
class Variant:
    """One run under one K: a map of every image."""

    run: Run
    folder: Path
    k: str
    lines: Mapping[str, dict[str, Any]]  # predictions by image_id
    scores: Mapping[str, Mapping[str, Any]]
    settings: Mapping[str, str] = field(default_factory=dict)


def runs(paths: Sequence[Path]) -> list[Run]:
    """Every run in or under the given folders, by path, each once.

    Raises:
        FileNotFoundError: for a folder without runs.
        ValueError: for a damaged run.json.
    """
    found: dict[Path, Run] = {}
    for path in paths:
        here = list(_records(path))
        if not here:
            raise FileNotFoundError(f"no {RUN} in {path} or below: name the folder of a run or of a sweep")
        found |= {folder: Run(folder, _json(folder / RUN)) for folder in here}
    return list(found.values())


def _records(path: Path) -> Iterator[Path]:
    for folder, folders, files in os.walk(path):
        folders[:] = sorted(set(folders) - IMAGES)
        if RUN in files:
            yield Path(folder)


def variants(found: Sequence[Run]) -> list[Variant]:
    """Every finished run under each of its K, in the runs' order.

    Raises:
        FileNotFoundError: if no run finished.
    """
    some = [variant for run in found if run.finished for variant in _variants(run)]
    if not some:
        ended = ", ".join(f"{run.folder} {run.record['status']}" for run in found)
        raise FileNotFoundError(f"nothing to show, no run has finished: {ended}")
    return some


def _variants(run: Run) -> Iterator[Variant]:
    several = [path.parent for path in run.folder.glob(f"k*/{PREDICTIONS}")]
    for folder in sorted(several, key=lambda path: k_order(path.name[1:])) or [run.folder]:
        lines = {line["image_id"]: line for line in read_predictions(folder)}
        k = folder.name[1:] if several else str(run.record["config"]["k"]).strip("[]")
        scores = _json(folder / METRICS) if (folder / METRICS).is_file() else {}
        yield Variant(run, folder, k, lines, scores)


def k_order(k: str) -> tuple[int, str]:
    """Numbers of clusters by size, ``auto`` after all of them."""
    return (int(k), "") if k.isdigit() else (256, k)


def _json(path: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads(path.read_text())
    except json.JSONDecodeError as error:
        raise ValueError(f"{path}: no JSON ({error.msg}, line {error.lineno})") from error
    return content
