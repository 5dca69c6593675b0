"""run.json: the provenance and the status of a run."""

import os
import platform
from collections.abc import Iterator, Mapping
from typing import Any, Literal, TypedDict

from nave.runs.files import read_json
from nave.runs.layout import K, RunFolder
from nave.runs.notes import Unreadable
from nave.strict_json import checked

Status = Literal["running", "ok", "failed", "interrupted"]


class Attempt(TypedDict):
    """One start of a run."""

    started: str
    commit: str | None
    versions: dict[str, str]


class Process(TypedDict):
    """The process that writes the record; ``slurm_job`` is the id of its SLURM job."""

    host: str
    pid: int
    slurm_job: str | None


def this_process() -> Process:
    """The process that asks."""
    return Process(host=platform.node(), pid=os.getpid(), slurm_job=os.environ.get("SLURM_JOB_ID"))


class ForegroundRecord(TypedDict):
    """Where the head is from (``learnt``, ``ready``, ``none`` or its file), and how many images taught it."""

    source: str
    sha256: str | None
    images: int


class Record(TypedDict, total=False):
    """The content of run.json. Keys are added as they become known, so the record of an interrupted run is incomplete.

    Attributes:
        overrides: Those of the command line.
        training: What made the weights: the training scheme, aliases resolved, or the name of a file.
        scheme: The training scheme whose mean and deviation normalise the images.
        weights: Source of the weights, with the place in the file.
        resampled: Position embeddings that were resampled to the network's grid, with both shapes.
        ks: The numbers of clusters, in the order of the command line; ``[None]`` for a baseline.
        total: Number of images in the data set.
        passed_over: Numbers of files and annotations that the data set did not take, by reason.
        remarks: Numbers of images about which something was decided while they were read, such as their bit depth.
        logged: Names of the loggers that have logged the run.
        same_as: Folder whose results were reused.
        code_sha256: Hash of the package's source files.
        engine: The clustering engine that was used, with the version of its library.
        unlogged: Why loggers have failed, by name; the results are complete.
        foreground: The foreground head that chose the boxes.
        foreground_sha256: The head that was given to the run, whether it was used or not.
        card: Description of the weights that ``nave.train`` wrote.
    """

    status: Status
    started: str
    process: Process
    config: dict[str, Any]
    overrides: list[str]
    versions: dict[str, str]
    commit: str | None
    code_sha256: str
    attempts: list[Attempt]
    model: str
    architecture: str
    training: str
    scheme: str
    weights: str
    weights_sha256: str | None
    resampled: Mapping[str, tuple[list[int], list[int]]]
    layers: list[str]
    data: str
    data_sha256: str
    ks: list[K]
    total: int
    device: str
    device_type: str
    engine: str | None
    passed_over: dict[str, int]
    remarks: dict[str, int]
    unreadable: list[Unreadable]
    images: int
    images_per_second: float
    seconds: dict[str, float]
    logged: list[str]
    unlogged: dict[str, str]
    same_as: str
    foreground: ForegroundRecord
    foreground_sha256: str | None
    card: dict[str, Any]
    error: str
    traceback: str


def training_of(record: Record) -> str:
    """What the training of a run is called, also if it failed before that was recorded."""
    config = record["config"]
    return str(record.get("training") or config.get("training_name") or config["training"])


CURE = "run it again in this folder, or delete the folder"


def read_record(folder: RunFolder) -> Record | None:
    """Reads run.json; None if there is none; raises ValueError if the file is damaged, naming it."""
    if not folder.record.is_file():
        return None
    record: Record = checked(read_json(folder.record), Record, folder.record, CURE)
    if "status" not in record:
        raise ValueError(f"{folder.record} has no key 'status': {CURE}")
    return record


def flat(node: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """Flattens nested mappings to pairs of dotted key and value; lists count as values."""
    if not isinstance(node, Mapping):
        yield key, node
        return
    for name, child in node.items():
        yield from flat(child, f"{key}.{name}" if key else str(name))
