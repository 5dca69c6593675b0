"""Scores a finished run from its predictions on disk, without images or encoder."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Literal, NotRequired, TypedDict

import numpy as np
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from nave.config import Evaluation
from nave.limits import within
from nave.metrics import protocols, segmentation
from nave.metrics.bootstrap import Score
from nave.metrics.class_iou import ClusteredImage, class_miou
from nave.metrics.groups import GroupTally, by_class, by_size
from nave.metrics.prediction import CHUNK, Prediction
from nave.runs.files import write_json
from nave.runs.forming import write_concepts
from nave.runs.layout import K, ResultsFolder, RunFolder, k_order
from nave.runs.prediction import CURE as RERUN
from nave.runs.prediction import Line, read_lines
from nave.runs.record import CURE, read_record
from nave.strict_json import checked

SEGMENTATION = ("miou", "object_miou", "ari", "nmi")
Scores = dict[str, Score]


class _Options(TypedDict):
    """What scoring needs of a configuration, which has further keys."""

    seed: int
    concepts: NotRequired[int | Literal["auto"]]
    evaluation: dict[str, bool | float]


class _Scored(TypedDict):
    ks: list[K]
    config: _Options


def evaluate(folder: RunFolder, options: Sequence[str] | None = None) -> dict[str, Scores]:
    """Scores a run at every K and writes metrics.json and concepts.json beside each predictions.jsonl.

    Args:
        options: Overrides of the run's own ``evaluation`` options (``hard=false``); with them nothing is written.

    Returns:
        The scores by sub-folder, in order of K: ``k3``, ``k5``; ``.`` for a single K.

    Raises:
        FileNotFoundError: If ``folder`` does not hold a finished run.
        ValueError: If a predictions.jsonl is damaged, naming file and line, or an option is unknown.
    """
    record = read_record(folder)
    if record is None or "ks" not in record:
        raise FileNotFoundError(f"{folder.path} holds no predictions: is it the folder of a finished run?")
    checked(record, _Scored, folder.record, CURE)
    config, ks = record["config"], sorted(record["ks"], key=k_order)
    evaluation = _evaluation(folder.record, config["evaluation"], options or ())
    by_results = {folder.at(k, ks): _score(folder.at(k, ks), evaluation, config["seed"], k is not None) for k in ks}
    for results, scores in by_results.items() if options is None else ():
        write_json(results.metrics, scores)
        write_concepts(results, config.get("concepts", 0), config["seed"])
    return {results.path.relative_to(folder.path).as_posix(): scores for results, scores in by_results.items()}


def _score(results: ResultsFolder, options: Evaluation, seed: int, clustered: bool) -> Scores:
    """Box protocols (None without boxes), mean statistics of the maps, and class mIoU if there are masks.

    A baseline, which is not ``clustered``, has one box, and nothing for the NAVE protocol to choose from.

    Lines are read once, some at a time, so that a few numbers of each image stay in memory.
    """
    boxes = protocols.BoxTally(iou=options.iou, hard=options.hard, inner=options.inner)
    wanted = [by_class] * options.per_class + [by_size] * options.per_size
    groups = [GroupTally(group, iou=options.iou, hard=options.hard) for group in wanted]
    means = segmentation.Means()
    lines = read_lines(results)
    while some := list(islice(lines, CHUNK)):
        predictions = [Prediction.from_line(line) for line in some]
        boxes.add(predictions)
        for group in groups:
            group.add(predictions)
        for line in some:
            means.add(statistics(line))
    by_name: Scores = boxes.scores(seed=seed)
    if not clustered:
        del by_name["nave"]
        by_name.pop("nave_on_object", None)
    by_name |= {name: score for name, score in means.scores(seed=seed).items() if score["value"] is not None}
    for group in groups:
        by_name |= {f"corloc/{name}": score for name, score in group.scores().items()}
    if results.has_centroids and "ari" in by_name:
        by_name["class_miou"] = class_miou(lambda: _described(results), groups=options.groups, seed=seed)
    return by_name


def _evaluation(file: Path, own: Mapping[str, object], changes: Sequence[str]) -> Evaluation:
    try:
        merged = OmegaConf.merge(OmegaConf.structured(Evaluation), own, OmegaConf.from_dotlist(list(changes)))
    except OmegaConfBaseException as error:
        choices = ", ".join(Evaluation.__dataclass_fields__)
        reason = str(error).splitlines()[0]
        where = f"option {' '.join(changes)}" if changes else f"{file}: evaluation"
        raise ValueError(f"{where}: {reason}; options are {choices}") from error
    options = OmegaConf.to_object(merged)
    assert isinstance(options, Evaluation)
    within("evaluation.iou", options.iou)
    within("evaluation.groups", options.groups)
    return options


def statistics(line: Line) -> dict[str, float | None]:
    """The statistics of one map, and its agreement with the mask if there is one; None if undefined."""
    segmentation = line.get("segmentation")
    agreement = {name: segmentation[name] for name in SEGMENTATION} if segmentation else {}  # type: ignore[literal-required]
    return {**line["map"], **agreement}


def _described(results: ResultsFolder) -> Iterator[ClusteredImage]:
    width = 0
    for line in read_lines(results):
        if segmentation := line.get("segmentation"):
            classes = tuple(segmentation["classes"])
            pixels = np.array(segmentation["pixels"], np.int64).reshape(-1, len(classes))
            centroids = results.read_centroids(line["image_id"])
            width = width or centroids.shape[1]
            if len(pixels) > len(centroids) or centroids.shape[1] != width:
                file = results.centroids(line["image_id"])
                raise ValueError(f"{file}: {centroids.shape} for {len(pixels)} clusters and {width} channels: {RERUN}")
            yield ClusteredImage(centroids, classes, pixels)
