"""The lines of predictions.jsonl: the prediction for one image at one K."""

import hashlib
import json
import os
from array import array
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, NotRequired, TypedDict

import numpy as np

from nave.localization.foreground import Foreground, ForegroundLine
from nave.runs.layout import K, ResultsFolder
from nave.strict_json import checked, from_json

CURE = "run the images again"
MAX_CLASS = 65535  # of masks of 16 bit
_sound: set[tuple[int, ...]] = set()  # versions of files

BoxLine = list[float]  # xyxy, half-open, in pixels of the original image


class ComponentLine(TypedDict):
    """A connected component; ``area`` in pixels of the original image.

    ``object`` is the part of its pixels that shows an object, for images with masks.
    """

    cluster: int
    area: int
    score: float
    box: BoxLine
    inner_box: BoxLine
    object: NotRequired[float]


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
        ValueError: If a line is damaged, naming it.
    """
    return (line for _, line in placed_lines(results))


class Lines(Mapping[str, Line]):
    """The predictions by image_id, in the order of the file, of which only their places are kept: 16 bytes an image.

    Raises:
        FileNotFoundError, ValueError: As :func:`read_lines`; also if the file has changed since.
    """

    def __init__(self, results: ResultsFolder) -> None:
        self._results, keys, starts = results, array("Q"), array("q")
        for start, line in placed_lines(results):
            keys.append(image_key(line["image_id"]))
            starts.append(start)
        in_order = np.argsort(np.array(keys, np.uint64))
        self._keys, self._starts = np.array(keys, np.uint64)[in_order], np.array(starts, np.int64)[in_order]

    def __len__(self) -> int:
        return len(self._keys)

    def __iter__(self) -> Iterator[str]:
        return (line["image_id"] for _, line in placed_lines(self._results))

    def __contains__(self, image_id: object) -> bool:
        return isinstance(image_id, str) and len(self._places(image_id)) > 0

    def __getitem__(self, image_id: str) -> Line:
        starts = self._places(image_id)
        if not starts:
            raise KeyError(image_id)
        with suppress(ValueError, KeyError, TypeError):
            for line in lines_at(self._results, starts):
                if line["image_id"] == image_id:
                    return line
        raise ValueError(f"{self._results.predictions} has changed since it was read: read it again")

    def _places(self, image_id: str) -> list[int]:
        """Where its line may begin."""
        key = np.uint64(image_key(image_id))
        first, stop = (int(np.searchsorted(self._keys, key, side)) for side in ("left", "right"))
        starts: list[int] = self._starts[first:stop].tolist()
        return starts


def image_key(image_id: str) -> int:
    """What stands for an image: among a million, two are alike with a chance of one in 40 million."""
    return int.from_bytes(hashlib.blake2b(image_id.encode(errors="surrogatepass"), digest_size=8).digest())


def lines_at(results: ResultsFolder, starts: Iterable[int]) -> Iterator[Line]:
    """The lines that begin at some bytes of the file; see :func:`placed_lines`."""
    with results.predictions.open("rb") as file:
        for start in starts:
            file.seek(start)
            line: Line = json.loads(file.readline())
            yield line


def placed_lines(results: ResultsFolder) -> Iterator[tuple[int, Line]]:
    """The lines and where they begin; a file that this process has found to be sound is not checked again.

    Raises:
        FileNotFoundError, ValueError: As :func:`read_lines`.
    """
    path, start = results.predictions, 0
    if not path.is_file():
        raise FileNotFoundError(f"{results.path} holds no {path.name}: is it the folder of a finished run?")
    keys = array("Q")
    with path.open("rb") as file:
        if (version := _version(file)) in _sound:
            for content in file:
                yield start, json.loads(content)
                start += len(content)
            return
        for number, content in enumerate(file, 1):
            line = checked(from_json(content, path, number), Line, f"{path}, line {number}", CURE)
            if fault := next(_faults(line), None):
                raise ValueError(f"{path}, line {number}: {fault}: {CURE}")
            keys.append(image_key(line["image_id"]))
            yield start, line
            start += len(content)
        if repeated := next(_repeated(path, keys), None):
            raise ValueError(f"{path}, line {repeated[0]}: image {repeated[1]!r} is repeated: {CURE}")
        if _version(file) == version:
            _sound.add(version)


def _repeated(path: Path, keys: "array[int]") -> Iterator[tuple[int, str]]:
    """The numbers and ids of lines whose image another line has, by the keys of all lines; eight bytes a line."""
    in_order = np.argsort(np.array(keys, np.uint64), kind="stable")
    alike = np.flatnonzero(np.diff(np.array(keys, np.uint64)[in_order]) == 0)
    if not len(alike):
        return
    wanted = {*in_order[alike].tolist(), *in_order[alike + 1].tolist()}
    with path.open("rb") as file:
        ids = {number: json.loads(line)["image_id"] for number, line in enumerate(file) if number in wanted}
    seen: set[str] = set()
    for number, image_id in ids.items():  # different images may have the same key
        if image_id in seen:
            yield number + 1, image_id
        seen.add(image_id)


def _version(file: BinaryIO) -> tuple[int, ...]:
    """Changes with the content of a file: its place on disk, its size and when it was written."""
    found = os.fstat(file.fileno())
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _faults(line: Line) -> Iterator[str]:
    """What no writer of ours can have written, although every value has its type."""
    truth = line["truth"] or TruthLine(boxes=[], classes=[], hard=[])
    boxes = [box for component in line["components"] for box in (component["box"], component["inner_box"])]
    detections = [detection["box"] for detection in line.get("detections", ())]
    for box in (line["box"], *boxes, *truth["boxes"], *detections):
        if len(box) != 4 or box[0] > box[2] or box[1] > box[3]:
            yield f"{box} is no box x1, y1, x2, y2"
    if not len(truth["boxes"]) == len(truth["classes"]) == len(truth["hard"]):
        yield "truth has different numbers of boxes, classes and hard flags"
    if min(line["width"], line["height"]) < 1:
        yield f"width {line['width']} and height {line['height']} are no size"
    if "segmentation" in line:
        yield from _faults_of_table(line["segmentation"])
    if "foreground" in line:
        try:
            Foreground.from_line(line["foreground"])
        except ValueError as error:
            yield f"foreground: {error}"


def _faults_of_table(agreement: SegmentationLine) -> Iterator[str]:
    classes, pixels = agreement["classes"], agreement["pixels"]
    if any(not 0 <= number <= MAX_CLASS for number in classes) or len(agreement["names"]) != len(classes):
        yield "segmentation.classes are no ids of classes with their names"
    if any(len(row) != len(classes) or min(row, default=0) < 0 for row in pixels):
        yield "segmentation.pixels is no table of clusters and classes"
