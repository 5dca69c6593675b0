"""run.json: the provenance and the status of a run."""

import os
import platform
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from typing import Any, Literal, TypedDict

from nave.runs.journal import Unreadable
from nave.runs.layout import K, RunFolder, read_json

SILENCE = 1800.0  # seconds without a finished image after which a process on another machine counts as killed
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


class Record(TypedDict, total=False):
    """The content of run.json. Keys are added as they become known, so the record of an interrupted run is incomplete.

    Attributes:
        config: The resolved configuration.
        training: The training scheme, aliases resolved.
        weights: Source of the weights.
        ks: The numbers of clusters, in the order of the command line; ``[None]`` for a baseline.
        total: Number of images in the data set.
        images: Number of explained images.
        seconds: Seconds by stage.
        logged: Names of the loggers that have logged the run.
        same_as: Folder whose results were reused.
        card: Description of the weights that ``nave.train`` wrote.
    """

    status: Status
    started: str
    process: Process
    config: dict[str, Any]
    versions: dict[str, str]
    commit: str | None
    attempts: list[Attempt]
    model: str
    architecture: str
    training: str
    weights: str
    weights_sha256: str | None
    layers: list[str]
    data: str
    data_sha256: str
    ks: list[K]
    total: int
    device: str
    unreadable: list[Unreadable]
    images: int
    images_per_second: float
    seconds: dict[str, float]
    logged: list[str]
    same_as: str
    card: dict[str, Any]
    error: str
    traceback: str


def read_record(folder: RunFolder) -> Record | None:
    """Reads run.json; None if there is none.

    Raises:
        ValueError: If the file is damaged, naming it.
    """
    record: Record | None = read_json(folder.record) if folder.record.is_file() else None
    return record


def flat(node: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """Flattens nested mappings to pairs of dotted key and value; lists count as values."""
    if not isinstance(node, Mapping):
        yield key, node
        return
    for name, child in node.items():
        yield from flat(child, f"{key}.{name}" if key else str(name))


def state(record: Record, folder: RunFolder, ended: bool = False) -> str:
    """The status of a run: that of run.json, or ``killed`` if it says ``running`` but the process has vanished.

    Args:
        record: Record of the run.
        folder: Folder of the run.
        ended: Whether the run belongs to a sweep that has ended, so that it cannot be running.
    """
    running = record["status"] == "running"
    return "killed" if running and (ended or not _is_alive(record["process"], folder)) else record["status"]


def _is_alive(process: Process, folder: RunFolder) -> bool:
    job = process["slurm_job"]
    if job is not None and shutil.which("squeue"):
        return bool(_queued(job))
    if process["host"] == platform.node():
        return _exists(process["pid"])
    return time.time() - _last_write(folder) < SILENCE


def _queued(job: str) -> str:
    queue = subprocess.run(["squeue", "-h", "-j", job], capture_output=True, text=True, check=False)
    return queue.stdout.strip()


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # the process of another user
        return True
    return True


def _last_write(folder: RunFolder) -> float:
    files = [folder.record, *folder.parts.glob("*.jsonl")]
    return max(file.stat().st_mtime for file in files)
