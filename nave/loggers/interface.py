"""The interface of loggers, and what they have in common.

A run is logged from disk after it has finished, so that a killed run leaves no trace and a resumed run is logged once.
"""

import random
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol, runtime_checkable

from lightning.pytorch.loggers import Logger

from nave.data.interface import Dataset
from nave.runs.reader import Run, RunAtK


@runtime_checkable
class RunLogger(Protocol):
    """A logger of the configuration group ``logger``; checks its options when it is created, before the run."""

    def log(self, run: Run, dataset: Dataset | None) -> None:
        """Logs a finished or failed run, once; ``dataset`` is None if it failed."""
        ...

    def training_logger(self, folder: Path, attempt: int) -> Logger:
        """Creates a Lightning logger for a training; ``attempt`` counts from 1, more if it is resumed."""
        ...


def flat_scores(run: RunAtK) -> dict[str, float]:
    """The scores and the ends of their intervals, by name."""
    flat: dict[str, float] = {}
    for name, score in run.scores.items():
        values = {name: score["value"], f"{name}_low": score["low"], f"{name}_high": score["high"]}
        flat |= {key: value for key, value in values.items() if value is not None}
    return flat


def run_statistics(run: Run) -> dict[str, float]:
    """Times, speed and numbers of images of a run; empty if it failed."""
    if not run.finished:
        return {}
    record = run.record
    stages = {f"seconds/{stage}": seconds for stage, seconds in record.get("seconds", {}).items()}
    return stages | {
        "images": record["images"],
        "images_per_second": record["images_per_second"],
        "unreadable": len(record["unreadable"]),
    }


def select_examples(overlaps: Mapping[str, float | None], count: int, seed: int) -> dict[str, str]:
    """Selects images to show: a third each of the worst, the best and random others.

    Ties are broken by image_id. Images without annotated objects can only be selected at random. The selection is
    deterministic, and the random images of one seed are the same in all runs, as far as they are not the worst or the
    best.

    Returns:
        ``worst``, ``best`` or ``random`` by image_id, in this order.
    """
    judged = sorted((overlap, image_id) for image_id, overlap in overlaps.items() if overlap is not None)
    third = min(count // 3, len(judged) // 2)
    worst = [image_id for _, image_id in judged[:third]]
    best = [image_id for _, image_id in sorted(judged[len(judged) - third :], key=lambda pair: (-pair[0], pair[1]))]
    shuffled = random.Random(seed).sample(sorted(overlaps), len(overlaps))
    others = [image_id for image_id in shuffled if image_id not in {*worst, *best}]
    groups = {"worst": worst, "best": best, "random": others[: count - 2 * third]}
    return {image_id: group for group, ids in groups.items() for image_id in ids}


def ranks(chosen: Mapping[str, str]) -> dict[str, str]:
    """Keys such as ``worst/01`` by image_id, under which the pictures of several runs stand side by side."""
    counts = Counter[str]()
    keys = {}
    for image_id, group in chosen.items():
        counts[group] += 1
        keys[image_id] = f"{group}/{counts[group]:02d}"
    return keys
