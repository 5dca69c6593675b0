"""The tables of the report: scores with their intervals, failed runs, provenance."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypedDict
from urllib.parse import quote

from nave.metrics.bootstrap import Score
from nave.runs.labels import axes, spelled
from nave.runs.layout import k_order
from nave.runs.reader import Run, RunAtK

PROTOCOLS = {  # those without ground truth first
    "corloc": ("CorLoc", "one box per image, chosen without ground truth, hits an object"),
    "ap50": (
        "AP50",
        "components, or what a foreground head detects, ranked without ground truth; class-agnostic COCO AP",
    ),
    "ar100": ("AR@100", "average recall of the boxes that AP50 ranks, COCO"),
    "nave": ("NAVE protocol", "upper bound: ground truth chooses the component, so never compare it with the others"),
}
UNDEFINED = Score(value=None, low=None, high=None, images=0)


class Cell(Score):
    """The score of a protocol, with the protocol's key, name and explanation."""

    protocol: str
    name: str
    note: str


class Row(TypedDict):
    """One run at one K; ``settings`` are the values of :func:`columns`."""

    settings: list[str]
    images: int
    speed: float | None
    cells: list[Cell]
    link: str | None


class Failure(TypedDict):
    """A run that did not finish."""

    name: str
    status: str
    error: str
    link: str


def cells(scores: Mapping[str, Score]) -> list[Cell]:
    """The scores of all protocols; ``value`` is None where nothing could be scored."""
    return [Cell(protocol=p, name=name, note=note, **scores.get(p, UNDEFINED)) for p, (name, note) in PROTOCOLS.items()]


def further(runs: Sequence[RunAtK]) -> list[tuple[str, list[Score]]]:
    """Scores beside the protocols (statistics of maps, single classes): their names, and one score per run."""
    names = dict.fromkeys(name for run in runs for name in run.scores if name not in PROTOCOLS)
    rows = [(name, [run.scores.get(name, UNDEFINED) for run in runs]) for name in names]
    return [(name, row) for name, row in rows if any(score["value"] is not None for score in row)]


def scored(runs: Sequence[RunAtK]) -> bool:
    """Whether any run has the score of a protocol."""
    return any(cell["value"] is not None for run in runs for cell in cells(run.scores))


def rows(runs: Sequence[RunAtK], page: Path) -> list[Row]:
    """One row per run and K."""
    return [
        Row(
            settings=[spelled(run, key) for key in columns(runs)],
            images=len(run.lines),
            speed=run.run.record.get("images_per_second"),
            cells=cells(run.scores),
            link=link(run.run, page),
        )
        for run in runs
    ]


def columns(runs: Sequence[RunAtK]) -> list[str]:
    """The settings that vary, or K if none does."""
    return list(axes(runs)) or ["k"]


def failures(runs: Sequence[Run], page: Path) -> list[Failure]:
    """The runs that did not finish, with their errors."""
    return [
        Failure(
            name=run.folder.path.name,
            status=run.record["status"],
            error=run.record.get("error", ""),
            link=relative(run.folder.path, page),
        )
        for run in runs
        if not run.finished
    ]


def link(run: Run, page: Path) -> str | None:
    """Link from ``page`` to the page of a run; None if they are the same."""
    target = run.folder.page
    return None if target.absolute() == page.absolute() else relative(target, page)


def relative(target: Path, page: Path) -> str:
    """A relative link, so that folders can be copied elsewhere."""
    return quote(Path(os.path.relpath(target.absolute(), page.parent.absolute())).as_posix())


def facts(runs: Sequence[RunAtK]) -> list[str]:
    """The subtitle: images and data sets, K, dates."""
    datasets = {run_data(run.run) for run in runs}
    one_run = len({id(run.run) for run in runs}) == 1  # which has the same images at every K
    images = len(runs[0].lines) if one_run else len({name for run in runs for name in run.lines})
    number = "1 image" if images == 1 else f"{images} images"
    ks = sorted({run.k for run in runs}, key=k_order)
    started = sorted({run.run.record.get("started", "")[:10] for run in runs})
    return [
        f"{number} of {', '.join(sorted(datasets))}",
        f"K = {', '.join(ks)}",
        " to ".join(started[:: max(1, len(started) - 1)]),
    ]


def run_data(run: Run) -> str:
    """Name and split of a run's data set."""
    config = run.record["config"]["data"]
    part = [str(config[key]) for key in ("split",) if key in config]
    return " ".join([run.record.get("data", ""), *part])


def _by(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape))


def provenance(run: Run) -> list[tuple[str, str]]:
    """Names and values of everything that identifies the results, as far as it is recorded."""
    record, config, scheme = run.record, run.record["config"], run.record.get("scheme")
    noted = {
        "architecture": record.get("architecture"),
        "training": record.get("training"),
        "mean and deviation": f"those of {scheme}" if scheme != record.get("training") else None,  # of a file
        "weights": record.get("weights"),
        "weights' sha256": record.get("weights_sha256"),
        "resampled": ", ".join(
            f"{name} from {_by(before)} to {_by(after)}"
            for name, (before, after) in record.get("resampled", {}).items()
        ),
        "layers": ", ".join(map(str, record.get("layers", []))),
        "resolution": config["composite"]["resolution"],
        "normalisation": config["composite"]["normalisation"],
        "seed": config["seed"],
        "passed over": ", ".join(f"{count} {reason}" for reason, count in record.get("passed_over", {}).items()),
        "decided": ", ".join(f"{count} images: {remark}" for remark, count in record.get("remarks", {}).items()),
        "device": record.get("device"),
        "seconds": ", ".join(f"{stage} {seconds:.1f}" for stage, seconds in record.get("seconds", {}).items()),
        "started": record.get("started"),
        "commit": record.get("commit"),
        "versions": ", ".join(f"{name} {version}" for name, version in record.get("versions", {}).items()),
    }
    return [(name, str(value)) for name, value in noted.items() if value not in (None, "")]
