"""A run as it lies on disk, in the shape that loggers need."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from nave.data.photograph import Dataset
from nave.maps import read_map
from nave.results import METRICS, prediction_folders, read_predictions
from nave.sweep import PLAN
from nave.terminal import best_overlap

Line = dict[str, Any]


@dataclass(frozen=True)
class OfOneK:
    """What a run found under one number of clusters."""

    k: int | str
    folder: Path
    lines: dict[str, Line]  # by image id, in the data set's order
    scores: Mapping[str, Mapping[str, Any]]

    @property
    def step(self) -> int:
        """K as an axis; 0 where it was found image by image (``auto``)."""
        return self.k if isinstance(self.k, int) else 0

    def overlap(self, image_id: str) -> float | None:
        """Of the one box with the true box that it fits best; None where no object is known."""
        return best_overlap(self.lines[image_id])

    def labels(self, image_id: str) -> UInt8[np.ndarray, "H W"]:
        """The map of one image."""
        return read_map(self.folder, image_id)


@dataclass(frozen=True)
class FinishedRun:
    """The record, and what was found under every K: nothing, and no data set, where the run failed."""

    folder: Path
    record: Mapping[str, Any]
    dataset: Dataset | None = None
    found: tuple[OfOneK, ...] = ()

    @classmethod
    def load(cls, folder: Path, record: Mapping[str, Any], dataset: Dataset) -> "FinishedRun":
        """What lies in ``folder``."""
        return cls(folder, record, dataset, tuple(_of_one_k(results) for results in prediction_folders(folder)))

    @property
    def sweep(self) -> str | None:
        """The name of the sweep's folder, for a job of one."""
        parent = self.folder.parent
        return parent.name if (parent / PLAN).is_file() else None

    def overlaps(self) -> dict[str, float | None]:
        """The one box's overlap with the truth by image, averaged over the K; None where no object is known."""
        ids = list(self.found[0].lines) if self.found else []
        return {image_id: _mean([one.overlap(image_id) for one in self.found]) for image_id in ids}

    @cached_property
    def indices(self) -> dict[str, int]:
        """Where the data set has each image."""
        dataset = self.dataset
        return {} if dataset is None else {dataset.image_id(index): index for index in range(len(dataset))}

    def metrics(self) -> Iterator[tuple[int, dict[str, float]]]:
        """For every K its step, and the scores with their intervals, flat."""
        for one in self.found:
            flat: dict[str, float] = {}
            for name, score in one.scores.items():
                named = {name: score["value"], f"{name}_low": score["low"], f"{name}_high": score["high"]}
                flat |= {key: value for key, value in named.items() if value is not None}
            yield one.step, flat

    def figures(self) -> dict[str, float]:
        """What the work took, and what could not be read."""
        stages = {f"seconds/{stage}": seconds for stage, seconds in self.record["seconds"].items()}
        return stages | {
            "images": self.record["images"],
            "images_per_second": self.record["images_per_second"],
            "unreadable": len(self.record["unreadable"]),
        }


def _of_one_k(folder: Path) -> OfOneK:
    lines = {line["image_id"]: line for line in read_predictions(folder)}
    scores = json.loads((folder / METRICS).read_text(encoding="utf-8"))
    k = next(iter(lines.values()))["k"]
    return OfOneK(k, folder, lines, scores)


def _mean(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
