"""What changed between encoders on the same images: the pairs, their images by change, and the files of a diff."""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, TypedDict

import numpy as np

from nave.comparison.measure import Change, changes
from nave.comparison.rows import Row, average, check_common, difference, rows
from nave.metrics.bootstrap import Score
from nave.metrics.segmentation import COUNTERPART
from nave.runs.files import read_json, write_csv, write_json
from nave.runs.labels import distinguished, names_without_k
from nave.runs.layout import PLAN
from nave.runs.reader import Run, RunAtK, read_runs, runs_at_k
from nave.runs.record import training_of
from nave.strict_json import checked

DIFF = "diff.json"
STEP = re.compile(r"(?P<training>.*)-(?P<unit>epoch|step)(?P<number>\d+)")  # names that nave.train gives to snapshots


class ImageChange(TypedDict):
    """One image of a pair; see :class:`nave.comparison.measure.Change`. ``noise`` is None if it is not known."""

    image_id: str
    ari: float
    matched_iou: float
    changed: float
    noise: float | None
    counterparts: list[list[int]]
    vanished: list[int]
    appeared: list[int]


class PairLine(TypedDict):
    """Two of the runs at one K, by their positions among all, and their images: those that changed most first."""

    before: int
    after: int
    images: list[ImageChange]


class Diff(TypedDict):
    """diff.json.

    ``runs`` are folders relative to that of the diff, in order; ``steps`` are their names if they are the steps of one
    training, else empty; ``counterpart`` is the overlap from which clusters are taken for the same one.
    """

    runs: list[str]
    steps: list[str]
    counterpart: float
    pairs: list[PairLine]
    rows: list[dict[str, Any]]


@dataclass(frozen=True, eq=False)
class Pair:
    """Two runs at one K, by their positions among those that are shown.

    Attributes:
        changes: What became of the clusters, by image_id.
        noise: How well one encoder agrees with itself under another seed, by image_id: the mean of both.
    """

    before: int
    after: int
    changes: Mapping[str, Change]
    noise: Mapping[str, float]

    def by_change(self) -> list[ImageChange]:
        """The images, the ones that changed most first."""
        lines = [_line(image_id, change, self.noise.get(image_id)) for image_id, change in self.changes.items()]
        return sorted(lines, key=lambda line: line["ari"])


def _line(image_id: str, change: Change, noise: float | None) -> ImageChange:
    ari, matched_iou, changed = (round(change.agreement[name], 4) for name in ("ari", "matched_iou", "changed"))
    return ImageChange(
        image_id=image_id,
        ari=ari,
        matched_iou=matched_iou,
        changed=changed,
        noise=None if noise is None else round(noise, 4),
        counterparts=[list(pair) for pair in change.counterparts],
        vanished=list(change.vanished),
        appeared=list(change.appeared),
    )


def ordered(folders: Sequence[Path]) -> list[Run]:
    """The finished runs in or below the folders, those of a sweep in the order of its command line.

    Raises:
        FileNotFoundError: If a folder holds no run.
    """
    return [run for folder in folders for run in sorted(read_runs([folder]), key=_place) if run.finished]


def _place(run: Run) -> tuple[str, int]:
    """By sweep, then by the job's number in its plan."""
    parent = run.folder.path.parent
    jobs = (read_json(parent / PLAN)["jobs"] or []) if (parent / PLAN).is_file() else []
    own = run.record.get("overrides", [])
    return str(parent), jobs.index(own) if own in jobs else len(jobs)


def shown(runs: Sequence[Run]) -> list[RunAtK]:
    """The runs at each K, with their settings; raises ValueError if there are fewer than two runs."""
    if len(runs) < 2:
        raise ValueError(f"{len(runs)} finished run: a diff needs two or more")
    return distinguished(runs_at_k(runs))


def step_names(runs: Sequence[RunAtK]) -> list[str]:
    """``epoch 5`` for every snapshot of a training and ``final`` for its end; empty unless all are of one training."""
    trainings = [training_of(run.run.record) for run in runs]
    found = [STEP.fullmatch(name) for name in trainings]
    of = {match["training"] if match else name for match, name in zip(found, trainings, strict=True)}
    if len(of) > 1 or len(set(trainings)) < 2:
        return []
    return [f"{match['unit']} {match['number']}" if match else "final" for match in found]


def pairs(runs: Sequence[RunAtK], steps: bool) -> list[Pair]:
    """The first run with every other one at each K.

    Of the steps of a training also neighbours, and all with the last.

    Raises:
        ValueError: If two runs have no image in common.
    """
    found = []
    for k in dict.fromkeys(run.k for run in runs):
        places = [place for place, run in enumerate(runs) if run.k == k]
        wanted = [(places[0], other) for other in places[1:]]
        if steps:
            ends = [(place, places[-1]) for place in places[:-1]]
            wanted = [ends[0], *pairwise(places), *ends[1:]]
        found += [_pair(runs, *pair) for pair in dict.fromkeys(wanted)]
    return found


def _pair(runs: Sequence[RunAtK], before: int, after: int) -> Pair:
    check_common(runs[before], runs[after])
    found = changes(runs[before], runs[after])
    return Pair(before, after, found, _noise(runs[before], runs[after], found))


def _noise(before: RunAtK, after: RunAtK, image_ids: Mapping[str, Change]) -> dict[str, float]:
    values = {name: [run.lines[name]["map"]["stability"] for run in (before, after)] for name in image_ids}
    return {name: float(np.mean(both)) for name, both in values.items() if None not in both}  # type: ignore[arg-type]


def noise_rows(runs: Sequence[RunAtK], found: Sequence[Pair]) -> Iterator[Row]:
    """How equal encoders would agree under another seed of k-means, and by how much less a pair agrees."""
    names = names_without_k(runs)
    for pair in found:
        if pair.noise:
            where = (names[pair.after], runs[pair.after].k, names[pair.before])
            ari = {image_id: change.agreement["ari"] for image_id, change in pair.changes.items()}
            yield Row("noise", "", *where, average("noise", pair.noise))
            yield Row("beyond_noise", "", *where, difference(pair.noise, ari))


def write(folder: Path, runs: Sequence[RunAtK], found: Sequence[Pair], measured: Sequence[Row]) -> None:
    """Writes diff.json, diff.csv and images.csv."""
    places = dict.fromkeys(os.path.relpath(run.run.folder.path, folder) for run in runs)
    content = Diff(
        runs=list(places),
        steps=step_names(runs),
        counterpart=COUNTERPART,
        pairs=[PairLine(before=pair.before, after=pair.after, images=pair.by_change()) for pair in found],
        rows=[row.flat() for row in measured],
    )
    write_json(folder / DIFF, content)
    write_csv(folder / "diff.csv", content["rows"])
    write_csv(folder / "images.csv", list(image_lines(runs, found)))


def image_lines(runs: Sequence[RunAtK], found: Sequence[Pair]) -> Iterator[dict[str, Any]]:
    """One line for each image of each pair, the images that changed most first."""
    names = names_without_k(runs)
    for pair in found:
        where = {"k": runs[pair.before].k, "before": names[pair.before], "after": names[pair.after]}
        for line in pair.by_change():
            matched = " ".join(f"{before}:{after}" for before, after in line["counterparts"])
            ids = {key: " ".join(map(str, line[key])) for key in ("vanished", "appeared")}
            yield where | dict(line) | ids | {"counterparts": matched}


def read(folder: Path) -> tuple[Diff, list[Run]]:
    """A diff and its runs.

    Raises:
        ValueError: If diff.json is damaged, naming it.
        FileNotFoundError: If a run is gone.
    """
    path = folder / DIFF
    found: Diff = checked(read_json(path), Diff, path, "compare the runs again (python -m nave.diff)")
    return found, [Run.read(folder / place) for place in found["runs"]]


def measure(runs: Sequence[RunAtK]) -> tuple[list[Pair], list[Row]]:
    """The pairs, and all that is measured: as ``nave.compare``, and the noise of k-means beside it."""
    found = pairs(runs, bool(step_names(runs)))
    return found, [*rows(runs), *noise_rows(runs, found)]


def rows_of(diff: Diff) -> list[Row]:
    """The rows of a diff as they were measured."""
    return [_row(**flat) for flat in diff["rows"]]


def _row(value: float | None, low: float | None, high: float | None, images: int, **names: str) -> Row:
    return Row(**names, score=Score(value=value, low=low, high=high, images=images))
