"""The data of the images in a report: JPEG and PNG files as data URIs, boxes and overlaps."""

import base64
from collections.abc import Collection, Sequence
from typing import Any, TypedDict

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from nave.comparison.pictures import Picture
from nave.metrics.prediction import Prediction, chunks, overlaps, truth_of, with_objects, with_truth
from nave.runs.files import encoded
from nave.runs.prediction import BoxLine, Line, TruthLine, read_lines
from nave.runs.reader import RunAtK
from nave.viz.palette import PaletteIndex


class Entry(TypedDict):
    """An image in the report's index.

    ``overlaps`` holds for every run the overlap of the predicted box and of the best component with the best true box,
    in 0 to 1; None if the run did not explain the image or there is no ground truth.
    """

    id: str
    width: int
    height: int
    truth: TruthLine | None
    overlaps: list[tuple[float, float] | None]


class Map(TypedDict):
    """A map in the report; ``ids`` is a grey PNG of cluster ids as a data URI."""

    ids: str
    palette_index: PaletteIndex
    box: BoxLine
    components: list[dict[str, Any]]  # what the page shows of a ComponentLine


class Detail(TypedDict):
    """An image with its maps, None for runs that did not explain it; ``photo`` is a JPEG as a data URI."""

    photo: str | None
    maps: list[Map | None]


def index(runs: Sequence[RunAtK], shown: Sequence[Picture]) -> list[Entry]:
    """The data for sorting, filtering and counting images."""
    ids = {picture.image_id for picture in shown}
    by_run = {id(run): _overlaps(run, ids) for run in runs}
    return [
        Entry(
            id=picture.image_id,
            width=picture.line["width"],
            height=picture.line["height"],
            truth=picture.line["truth"],
            overlaps=[None if run is None else by_run[id(run)].get(picture.image_id) for run in picture.runs],
        )
        for picture in shown
    ]


def _overlaps(run: RunAtK, image_ids: Collection[str]) -> dict[str, tuple[float, float]]:
    hard = run.run.record["config"]["evaluation"]["hard"]
    found: dict[str, tuple[float, float]] = {}
    lines = (line for line in read_lines(run.results) if line["image_id"] in image_ids)
    for chunk in chunks(map(Prediction.from_line, lines)):
        found |= _best_two(with_objects(with_truth(chunk, hard=hard)))
    return found


def _best_two(images: Sequence[Prediction]) -> dict[str, tuple[float, float]]:
    truths = [truth_of(image).boxes for image in images]
    predicted = overlaps([image.boxes[:0] if image.box is None else image.box[None] for image in images], truths)
    best = overlaps([image.boxes for image in images], truths)
    return {
        image.image_id: (round(float(box.max(initial=0)), 4), round(float(components.max(initial=0)), 4))
        for image, box, components in zip(images, predicted, best, strict=True)
    }


def detail(picture: Picture) -> Detail:
    """The data for viewing one image."""
    maps, photograph = iter(picture.aligned()), picture.photograph
    return Detail(
        photo=None if photograph is None else data_uri(photograph, "image/jpeg"),
        maps=[None if run is None else _map(run.lines[picture.image_id], *next(maps)) for run in picture.runs],
    )


def _map(line: Line, labels: UInt8[np.ndarray, "h w"], palette_index: PaletteIndex) -> Map:
    shown = ("cluster", "score", "box", "inner_box")
    components = [{key: value for key, value in part.items() if key in shown} for part in line["components"]]
    ids = data_uri(encoded(Image.fromarray(labels), "PNG", optimize=True), "image/png")
    return Map(ids=ids, palette_index=palette_index, box=line["box"], components=components)


def data_uri(content: bytes, kind: str) -> str:
    """Encodes a file as a data URI: ``data:image/png;base64,…``."""
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"
