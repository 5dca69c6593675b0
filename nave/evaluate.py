"""Scores a finished run again from disk, without images or encoder: ``python -m nave.evaluate RUN``."""

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from nave.centroids import FOLDER, read_centroids
from nave.command import command
from nave.config import Evaluation
from nave.metrics import corloc_per_class, corloc_per_size, mean_scores, scores
from nave.metrics.bootstrap import Score
from nave.metrics.pooled import Described, class_miou
from nave.metrics.prediction import Prediction
from nave.results import METRICS, RUN, prediction_folders, predictions, write_json
from nave.terminal import score_table, show

SEGMENTATION = ("miou", "object_miou", "ari", "nmi")


def evaluate(run: Path, options: Sequence[str] | None = None) -> dict[str, dict[str, Score]]:
    """The scores by sub-folder (one for every K), written to metrics.json beside each predictions.jsonl.

    The options of the protocols are those of the run's own configuration. With ``options`` (``hard=false``)
    they differ, and nothing is written.

    Raises:
        FileNotFoundError: if ``run`` is not the folder of a finished run.
        ValueError: for a damaged predictions.jsonl, naming file and line; for an unknown option.
    """
    folders = prediction_folders(run)
    config = json.loads((run / RUN).read_text(encoding="utf-8"))["config"]
    chosen = _options(config["evaluation"], options or ())
    found = {folder: run_scores(folder, chosen, config["seed"]) for folder in folders}
    if options is None:
        for folder, result in found.items():
            write_json(folder / METRICS, result)
    return {folder.relative_to(run).as_posix(): result for folder, result in found.items()}


def run_scores(folder: Path, options: Evaluation, seed: int) -> dict[str, Score]:
    """Box protocols (None without boxes), means of what the maps are like, class mIoU where masks are.

    The lines are read one at a time; what stays in memory of an image are its boxes and a few numbers.
    """
    images: list[Prediction] = []
    statistics: list[dict[str, float | None]] = []
    for line in predictions(folder):
        images.append(Prediction.from_line(line))
        statistics.append(_statistics(line))
    found = scores(images, iou=options.iou, hard=options.hard, inner=options.inner, seed=seed)
    found |= {name: s for name, s in mean_scores(statistics, seed=seed).items() if s["value"] is not None}
    if options.per_class:
        found |= _prefixed(corloc_per_class(images, iou=options.iou, hard=options.hard, seed=seed))
    if options.per_size:
        found |= _prefixed(corloc_per_size(images, iou=options.iou, hard=options.hard, seed=seed))
    if (folder / FOLDER).is_dir():
        found["class_miou"] = class_miou(lambda: _described(folder), groups=options.groups, seed=seed)
    return found


def _options(own: Mapping[str, Any], changes: Sequence[str]) -> Evaluation:
    try:
        merged = OmegaConf.merge(OmegaConf.structured(Evaluation(**own)), OmegaConf.from_dotlist(list(changes)))
    except OmegaConfBaseException as error:
        choices = ", ".join(Evaluation.__dataclass_fields__)
        reason = str(error).splitlines()[0]
        raise ValueError(f"option {' '.join(changes)}: {reason}; options are {choices}") from error
    options = OmegaConf.to_object(merged)
    assert isinstance(options, Evaluation)
    return options


def _statistics(line: Mapping[str, Any]) -> dict[str, float | None]:
    segmentation = line.get("segmentation") or {}
    agreement = {name: segmentation[name] for name in SEGMENTATION if name in segmentation}
    return {**line["map"], **agreement}


def _prefixed(groups: Mapping[str, Score]) -> dict[str, Score]:
    return {f"corloc/{name}": score for name, score in groups.items()}


def _described(folder: Path) -> Iterator[Described]:
    for line in predictions(folder):
        if segmentation := line.get("segmentation"):
            classes = tuple(segmentation["classes"])
            pixels = np.array(segmentation["pixels"], np.int64).reshape(-1, len(classes))
            yield Described(read_centroids(folder, line["image_id"]), classes, pixels)


@command
def main(arguments: list[str] | None = None) -> None:
    """The command line; fails where a folder cannot be scored."""
    parser = argparse.ArgumentParser(prog="python -m nave.evaluate", description=__doc__)
    parser.add_argument("run", type=Path, nargs="+", help="folder of a finished run")
    parser.add_argument(
        "--set",
        action="append",
        metavar="KEY=VALUE",
        help="score with another option (iou, hard, inner, per_class, per_size, groups) and write nothing",
    )
    given = parser.parse_args(arguments)
    for run in given.run:
        show(score_table(str(run), evaluate(run, given.set)))


if __name__ == "__main__":
    sys.exit(main())
