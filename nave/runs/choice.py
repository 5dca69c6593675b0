"""The boxes of a line of predictions, and how their choice is repeated from disk, without images or encoder."""

import math
from collections.abc import Iterator, Sequence
from typing import Any, NotRequired, TypedDict

import numpy as np
from jaxtyping import UInt8
from omegaconf import OmegaConf

from nave.build import instantiate
from nave.data.input_size import InputSize
from nave.localization.components import Box
from nave.localization.foreground import Foreground, ForegroundLine
from nave.localization.interface import Localization, Localizer, resized
from nave.runs.files import write_chunks
from nave.runs.layout import K, ResultsFolder, RunFolder
from nave.runs.prediction import CURE as RERUN
from nave.runs.prediction import BoxLine, ComponentLine, DetectionLine, Line, read_lines
from nave.runs.record import CURE, ForegroundRecord, read_record
from nave.strict_json import checked, to_json


class Chosen(TypedDict):
    """The part of a line that the choice decides."""

    box: BoxLine
    components: list[ComponentLine]
    detections: NotRequired[list[DetectionLine]]
    foreground: NotRequired[ForegroundLine]


class _Options(TypedDict):
    """What the choice needs of a configuration, which has further keys."""

    localization: dict[str, Any]
    image_size: int | list[int] | None
    longer_side: int | None


class _Choosing(TypedDict):
    ks: list[K]
    config: _Options
    foreground: ForegroundRecord


def chosen(localization: Localization, scale: tuple[float, float]) -> Chosen:
    """Returns the boxes as a line has them.

    Args:
        localization: boxes in pixels of the map.
        scale: pixels of the original image per pixel of the map, (x, y).
    """
    line = Chosen(
        box=_scaled(localization.box, scale),
        components=[
            ComponentLine(
                cluster=component.cluster,
                area=round(component.area * scale[0] * scale[1]),
                score=rounded(score),
                box=_scaled(component.box, scale),
                inner_box=_scaled(component.inner_box, scale),
            )
            for component, score in localization.components
        ],
    )
    if localization.detections is not None and localization.foreground is not None:
        found = localization.detections
        line["detections"] = [DetectionLine(box=_scaled(box, scale), score=rounded(score)) for box, score in found]
        line["foreground"] = localization.foreground.to_line()
    return line


def choose_again(folder: RunFolder) -> None:
    """Repeats the choice of boxes from the maps and the head's logits on disk, and writes predictions.jsonl anew.

    The same code writes the same bytes. Runs without a foreground head stay as they are.

    Raises:
        FileNotFoundError: if the folder holds no predictions, or lacks a map.
        ValueError: if predictions.jsonl is damaged, naming file and line.
    """
    record = read_record(folder)
    if record is None or record.get("foreground", {}).get("source", "none") == "none":
        return
    checked(record, _Choosing, folder.record, CURE)
    localization: Localizer = instantiate(OmegaConf.create(record["config"]["localization"]))
    input_size = InputSize.of(record["config"]["image_size"], record["config"]["longer_side"])
    for k in record["ks"]:
        results = folder.at(k, record["ks"])
        lines = _chosen_again(results, localization, input_size)
        write_chunks(results.predictions, (f"{to_json(line, results.path)}\n".encode() for line in lines))


def _chosen_again(results: ResultsFolder, localization: Localizer, input_size: InputSize) -> Iterator[Line]:
    for line in read_lines(results):
        if "foreground" in line:
            labels = resized(_stored_map(results, line), input_size((line["height"], line["width"])))
            _, found = localization(labels, None, Foreground.from_line(line["foreground"]))
            scale = (line["width"] / labels.shape[1], line["height"] / labels.shape[0])
            before = line["components"]
            line.update(chosen(found, scale))  # type: ignore[typeddict-item] # the keys are those of a line
            _keep_shares(results, line, before)
        yield line


def _stored_map(results: ResultsFolder, line: Line) -> UInt8[np.ndarray, "H W"]:
    labels = results.read_map(line["image_id"])
    if labels.shape != (line["height"], line["width"]):
        height, width = labels.shape
        size = f"{width} x {height} pixels for an image of {line['width']} x {line['height']}"
        raise ValueError(f"the map of {line['image_id']} in {results.path} has {size}: {RERUN}")
    return labels


def _keep_shares(results: ResultsFolder, line: Line, before: Sequence[ComponentLine]) -> None:
    """Notes anew what masks say of the components; no head chooses these."""
    if not any("object" in component for component in before):
        return
    if [component["box"] for component in line["components"]] != [component["box"] for component in before]:
        raise ValueError(f"the map of {line['image_id']} in {results.path} is not that of its components: {RERUN}")
    for component, old in zip(line["components"], before, strict=True):
        if "object" in old:
            component["object"] = old["object"]


def _scaled(box: Box, scale: tuple[float, float]) -> BoxLine:
    x, y = scale
    if x == y == 1:
        return list(box)
    left, top, right, bottom = box
    return [plain(round(side, 3)) for side in (left * x, top * y, right * x, bottom * y)]


def plain(number: float) -> float:
    """Writes whole numbers as integers, which makes lines shorter."""
    whole = int(number)
    return whole if whole == number else number


def rounded(number: float) -> float:
    """Rounds to seven significant digits, the precision of float32."""
    return number if number == 0 or not math.isfinite(number) else float(f"{number:.7g}")
