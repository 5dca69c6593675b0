"""Reading finished runs from disk, for loggers, reports, figures, comparisons, studies and summaries."""

import os
from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
from jaxtyping import UInt8

from nave.metrics.bootstrap import Score
from nave.metrics.prediction import Prediction, best_overlap_each, chunks
from nave.runs.files import read_json
from nave.runs.layout import BY_IMAGE, PHOTOGRAPHS, PLAN, RUN, K, ResultsFolder, RunFolder, k_order, k_text
from nave.runs.notes import Unreadable
from nave.runs.prediction import Line, Lines, read_lines
from nave.runs.record import CURE, Process, Record, read_record
from nave.strict_json import checked

RESCORE = "score the run again (python -m nave.evaluate FOLDER)"


class _Named(TypedDict):
    name: str


class _Config(TypedDict):
    """What readers of a run need of its configuration, which has further keys."""

    model: _Named
    training: str


class _Evaluation(TypedDict):
    iou: float
    hard: bool


class _FullConfig(_Config):
    seed: int
    data: dict[str, Any]
    evaluation: _Evaluation


class _Begun(TypedDict):
    config: _Config


class _Running(_Begun):
    process: Process


class _Complete(TypedDict):
    config: _FullConfig
    ks: list[K]
    images: int
    images_per_second: float
    unreadable: list[Unreadable]


_FORMS = {"ok": _Complete, "running": _Running}


@dataclass(frozen=True, eq=False)
class Run:
    """A run and its record; the run may have failed.

    Args:
        ks: The K to look at; None for all.
    """

    folder: RunFolder
    record: Record
    ks: tuple[K, ...] | None = None

    @classmethod
    def read(cls, path: Path) -> "Run":
        """Reads the run in the folder ``path``.

        Raises:
            FileNotFoundError: If the folder holds no run.
            ValueError: If run.json is damaged, or lacks what the readers of a run need.
        """
        record = read_record(RunFolder(path))
        if record is None:
            raise FileNotFoundError(f"no {RUN} in {path}: name the folder of a run")
        form = _Begun if "card" in record else _FORMS.get(record["status"], _Begun)
        checked(record, form, RunFolder(path).record, CURE)
        return cls(RunFolder(path), record)

    @property
    def finished(self) -> bool:
        """Whether the run ended without an error."""
        return self.record["status"] == "ok"

    @property
    def sweep(self) -> str | None:
        """Name of the sweep's folder if the run is a job of a sweep."""
        parent = self.folder.path.parent
        return parent.name if (parent / PLAN).is_file() else None

    @cached_property
    def at_k(self) -> tuple["RunAtK", ...]:
        """The results at every K, in order of K; empty if the run did not finish."""
        ks = self.record.get("ks", []) if self.finished else []  # a training has none
        return tuple(RunAtK(self, self.folder.at(k, ks), k_text(k)) for k in sorted(self.ks or ks, key=k_order))

    def at_each_k(self) -> list["Run"]:
        """The run as one of a single K, for every K; itself if it did not finish."""
        return [replace(self, ks=(k,)) for k in sorted(self.record["ks"], key=k_order)] if self.finished else [self]

    def newer_than(self, path: Path) -> bool:
        """Whether record, predictions or scores changed after the file ``path``, or there is no such file."""
        files = [self.folder.record, *(file for at_k in self.at_k for file in at_k.results.files())]
        return not path.is_file() or path.stat().st_mtime < max(file.stat().st_mtime for file in files)


@dataclass(frozen=True, eq=False)
class RunAtK:
    """A run at one K: the map and the prediction of every image, and the scores.

    Args:
        results: Folder of the results at this K.
        k: The requested number of clusters, ``auto``, or a dash for a baseline, which does not cluster.
        settings: What distinguishes this run from the others it is shown with; see :mod:`nave.runs.labels`.
    """

    run: Run
    results: ResultsFolder
    k: str
    settings: Mapping[str, str] = field(default_factory=dict)

    @property
    def step(self) -> int:
        """K as a logger's step; 0 if K is not a number."""
        return int(self.k) if self.k.isdigit() else 0

    @cached_property
    def lines(self) -> Mapping[str, Line]:
        """The predictions by image_id, in the data set's order; they stay on disk."""
        return Lines(self.results)

    @cached_property
    def scores(self) -> Mapping[str, Score]:
        """The scores by name; empty if the run was never scored."""
        path = self.results.metrics
        scores: dict[str, Score] = {}
        if path.is_file():
            scores = checked(read_json(path), dict[str, Score], path, RESCORE)
        return scores

    def with_settings(self, settings: Mapping[str, str]) -> "RunAtK":
        """A copy with other settings, which shares what has been read from disk."""
        other = copy(self)
        object.__setattr__(other, "settings", settings)
        return other

    @cached_property
    def overlaps(self) -> Mapping[str, float | None]:
        """Overlap of each image's box with the best true box; None if no object is annotated."""
        found: dict[str, float | None] = {}
        for some in chunks(map(Prediction.from_line, read_lines(self.results))):
            found |= zip((image.image_id for image in some), best_overlap_each(some), strict=True)
        return found

    def read_map(self, image_id: str) -> UInt8[np.ndarray, "H W"]:
        """The map of one image at the original image's size."""
        return self.results.read_map(image_id)


def read_runs(paths: Sequence[Path]) -> list[Run]:
    """Reads every run in or below the given folders, each once.

    Raises:
        FileNotFoundError: If a folder holds no run.
        ValueError: If a run.json is damaged.
    """
    runs: dict[Path, Run] = {}
    for path in paths:
        folders = list(_run_folders(path))
        if not folders:
            raise FileNotFoundError(f"no {RUN} in {path} or below: name the folder of a run or of a sweep")
        runs |= {folder: Run.read(folder) for folder in folders}
    return list(runs.values())


def runs_at_k(runs: Sequence[Run]) -> list[RunAtK]:
    """Every finished run at each of its K, in the order of the runs.

    Raises:
        FileNotFoundError: If no run has finished.
    """
    finished = [at_k for run in runs for at_k in run.at_k]
    if not finished:
        ended = ", ".join(f"{run.folder.path} {run.record['status']}" for run in runs)
        raise FileNotFoundError(f"nothing to show, no run has finished: {ended}")
    return finished


def _run_folders(path: Path) -> Iterator[Path]:
    for folder, folders, files in os.walk(path):
        folders[:] = sorted(set(folders) - {*BY_IMAGE, PHOTOGRAPHS})
        if RUN in files:
            yield Path(folder)


def mean_overlaps(at_k: Sequence[RunAtK]) -> dict[str, float | None]:
    """Overlap of each image's box with the ground truth, averaged over K; None if no object is annotated."""
    if len(at_k) == 1:
        return dict(at_k[0].overlaps)
    ids = list(at_k[0].overlaps) if at_k else []
    return {image_id: _mean([results.overlaps[image_id] for results in at_k]) for image_id in ids}


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
