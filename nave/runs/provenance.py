"""Provenance of results: versions, commit, weights, data and device; and writing the record of a run."""

import hashlib
import importlib.metadata
import os
import platform
import subprocess
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import torch

from nave.data.interface import Dataset
from nave.distributed import is_first
from nave.encoder.encoder import Encoder
from nave.runs.layout import RunFolder, write_json
from nave.runs.record import Attempt, Record
from nave.runs.resume import ConflictingResultsError

PACKAGES = (
    "nave",
    "torch",
    "torchvision",
    "timm",
    "lightning",
    "torchmetrics",
    "scikit-learn",
    "numpy",
    "numba",
    "pillow",
)


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that affect results."""
    return {"python": platform.python_version()} | {name: importlib.metadata.version(name) for name in PACKAGES}


def commit() -> str | None:
    """Commit of the checkout, with ``-dirty`` if files have changed; None for an installed package."""
    described = subprocess.run(
        ["git", "describe", "--always", "--abbrev=40", "--exclude=*", "--dirty"],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=False,
    )
    return described.stdout.strip() or None


def of_encoder(encoder: Encoder) -> Record:
    """The part of the record that identifies the network and its weights."""
    checkpoint = encoder.checkpoint
    return Record(
        model=encoder.name,
        architecture=checkpoint.architecture,
        training=checkpoint.training,
        weights=checkpoint.source,
        weights_sha256=checkpoint.sha256,
        layers=encoder.layers,
    )


def of_data(dataset: Dataset) -> Record:
    """The part of the record that identifies the data set: its name and a hash of its image ids, not of its pixels."""
    digest = hashlib.sha256()
    for index in range(len(dataset)):
        digest.update(f"{dataset.image_id(index)}\n".encode())
    return Record(data=dataset.name, data_sha256=digest.hexdigest())


def device_name(device: torch.device, processes: int = 1) -> str:
    """Name of a device: ``cuda:0 (NVIDIA H100)``, or ``2 x cpu (2 threads)`` with several processes."""
    name = str(device)
    if device.type == "cuda":
        name = f"{device} ({torch.cuda.get_device_name(device)})"
    if device.type == "cpu":
        name = f"{device} ({torch.get_num_threads()} threads)"
    return f"{processes} x {name}" if processes > 1 else name


def begin(config: dict[str, Any], before: Record | None) -> Record:
    """The record of a run that starts now or is resumed; it keeps the earlier attempts.

    Args:
        config: The resolved configuration.
        before: The record in the run's folder, if the run is resumed.
    """
    started = datetime.now().astimezone().isoformat(timespec="microseconds")
    attempt = Attempt(started=started, commit=commit(), versions=versions())
    earlier = before or Record()
    record = Record(
        status="running",
        started=earlier.get("started", started),
        process={"host": platform.node(), "pid": os.getpid(), "slurm_job": os.environ.get("SLURM_JOB_ID")},
        config=config,
        versions=attempt["versions"],
        commit=attempt["commit"],
        attempts=[*earlier.get("attempts", []), attempt],
    )
    for key in ("weights_sha256", "data_sha256"):
        if key in earlier:
            record[key] = earlier[key]
    return record


@contextmanager
def recorded(folder: RunFolder, record: Record) -> Iterator[None]:
    """Writes the outcome of the block to run.json: ``ok``, or ``failed`` or ``interrupted`` with the error.

    The folder of another run (:class:`ConflictingResultsError`) stays untouched. A killed process leaves the status
    ``running`` and its process id behind.
    """
    start = time.perf_counter()
    try:
        yield
        record["status"] = "ok"
    except ConflictingResultsError:
        raise
    except BaseException as error:
        record["status"] = "failed" if isinstance(error, Exception) else "interrupted"
        record |= Record(error=f"{type(error).__name__}: {error}", traceback=traceback.format_exc())
        save(folder, record)
        raise
    record.setdefault("seconds", {}).setdefault("total", round(time.perf_counter() - start, 3))
    save(folder, record)


def save(folder: RunFolder, record: Record) -> None:
    """Writes run.json, in one process only."""
    if is_first():
        write_json(folder.record, record)
