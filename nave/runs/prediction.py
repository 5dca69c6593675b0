"""The lines of predictions.jsonl: the prediction for one image at one K."""

import json
from collections.abc import Iterator
from typing import NotRequired, TypedDict

from nave.localization.foreground import ForegroundLine
from nave.runs.layout import K, ResultsFolder, from_json

BoxLine = list[float]  # xyxy, half-open, in pixels of the original image


class ComponentLine(TypedDict):
    """A connected component; ``area`` in pixels of the original image."""

    cluster: int
    area: int
    score: float
    box: BoxLine
    inner_box: BoxLine


class DetectionLine(TypedDict):
    """A box that the foreground head has found."""

    box: BoxLine
    score: float


class MapLine(TypedDict):
    """Statistics of the map that need no ground truth; see :mod:`nave.metrics.unlabelled`."""

    balance: float
    coherence: float
    stability: float | None


class TruthLine(TypedDict):
    """Ground truth: the annotated objects."""

    boxes: list[BoxLine]
    classes: list[str]
    hard: list[bool]


class SegmentationLine(TypedDict):
    """Agreement of the map with the masks of classes and objects.

    ``pixels`` counts the pixels that cluster (row) and class (column) share. ``classes`` are the class ids of the
    columns, ``names`` their names (None for the background and for classes without a name). Scores are None where they
    are undefined.
    """

    miou: float | None
    ari: float | None
    nmi: float | None
    object_miou: float | None
    classes: list[int]
    names: list[str | None]
    pixels: list[list[int]]


class Line(TypedDict):
    """One image at one K; ``truth`` is None without ground truth, ``watermark`` the box of the mark.

    ``detections`` and ``foreground`` are there if a foreground head has chosen the box.
    """

    image_id: str
    width: int
    height: int
    k: K
    clusters: int
    inertia: float | None
    box: BoxLine
    components: list[ComponentLine]
    map: MapLine
    truth: TruthLine | None
    segmentation: NotRequired[SegmentationLine]
    watermark: NotRequired[list[int]]
    detections: NotRequired[list[DetectionLine]]
    foreground: NotRequired[ForegroundLine]


def read_lines(results: ResultsFolder) -> Iterator[Line]:
    """Reads predictions.jsonl line by line, since those of a large data set may not fit into memory.

    Raises:
        FileNotFoundError: If the folder holds no predictions.
        ValueError: If a line is not valid JSON or holds NaN, naming the line.
    """
    path = results.predictions
    if not path.is_file():
        raise FileNotFoundError(f"{results.path} holds no {path.name}: is it the folder of a finished run?")
    with path.open(encoding="utf-8") as file:
        for number, text in enumerate(file, 1):
            try:
                yield from_json(text, path, number)
            except json.JSONDecodeError as error:
                raise ValueError(f"{path}, line {number}: no JSON ({error.msg})") from error
