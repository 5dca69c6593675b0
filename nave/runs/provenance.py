"""Provenance of results: versions, commit, weights, data and device; and writing the record of a run."""

import hashlib
import importlib.metadata
import os
import platform
import subprocess
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import torch
from hydra.core.hydra_config import HydraConfig

from nave.clustering.cuml import engine_name
from nave.clustering.interface import Clustering
from nave.data.content import files_of, meaning_of
from nave.data.interface import Dataset, UnreadableImageError, passed_over
from nave.encoder.encoder import Encoder
from nave.processes.distributed import is_rank_zero
from nave.runs.contents import ImageContent, image_content
from nave.runs.files import write_chunks, write_json
from nave.runs.layout import K, RunFolder
from nave.runs.record import Attempt, Record, this_process
from nave.runs.resume import DECISIVE, ConflictingResultsError
from nave.strict_json import to_json

PACKAGES = ("nave", "lightning", "torchmetrics", *DECISIVE)
KEPT = (
    *("weights_sha256", "foreground_sha256", "data_sha256", "engine", "device_type"),  # a resumed run must agree
    *("seconds", "images_per_second"),  # of the attempt that computed, if nothing is left to compute
)
NOT_COMPUTING = (  # rooms and commands that no result passes through
    *("bench", "command_line", "comparison", "export", "loggers", "report"),
    *("__main__.py", "compare.py", "dashboard.py", "diff.py", "figure.py", "overlay.py", "sweep.py"),
)


@cache
def versions() -> dict[str, str]:
    """Versions of Python and of the packages that affect results."""
    return {"python": platform.python_version()} | {name: importlib.metadata.version(name) for name in PACKAGES}


@cache
def code_sha256() -> str:
    """Hash of the source files that results pass through, as this process found them when it first asked."""
    package = Path(__file__).parent.parent
    digest = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        inside = path.relative_to(package)
        if inside.parts[0] not in NOT_COMPUTING:
            digest.update(f"{inside.as_posix()} {path.stat().st_size}\n".encode() + path.read_bytes())
    return digest.hexdigest()


@cache
def commit(file: Path = Path(__file__)) -> str | None:
    """Commit of the checkout, with ``-dirty`` if files have changed, as this process found it when it first asked.

    None for an installed package, also where it lies inside another repository, and without Git. ``file`` is this
    module.
    """
    if _git(file.parent, "ls-files", "--full-name", "--error-unmatch", file.name) != "nave/runs/provenance.py":
        return None
    return _git(file.parent, "describe", "--always", "--abbrev=40", "--exclude=*", "--dirty") or None


def _git(folder: Path, *arguments: str) -> str:
    surroundings = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=folder, env=surroundings, capture_output=True, text=True, check=False
        )
    except OSError:  # there is no Git
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def of_encoder(encoder: Encoder) -> Record:
    """The part of the record that identifies the network and its weights."""
    checkpoint = encoder.checkpoint
    return Record(
        model=encoder.name,
        architecture=checkpoint.architecture,
        training=checkpoint.training,
        scheme=checkpoint.scheme,
        weights=checkpoint.source,
        weights_sha256=checkpoint.sha256,
        resampled=checkpoint.resampled,
        layers=encoder.layers,
    )


def of_data(dataset: Dataset) -> Record:
    """The part of the record that identifies the data set: its name and a hash of its image ids, not of its pixels.

    It also counts what the data set did not take.
    """
    digest = hashlib.sha256()
    for index in range(len(dataset)):
        digest.update(f"{dataset.image_id(index)}\n".encode())
    return Record(data=dataset.name, data_sha256=digest.hexdigest(), passed_over=passed_over(dataset))


def note_contents(path: Path, dataset: Dataset) -> None:
    """Writes what every image is read from, one line an image, for :func:`nave.runs.resume.changed_images`."""
    write_chunks(path, (f"{to_json(line, path)}\n".encode() for line in _contents(dataset)))


def _contents(dataset: Dataset) -> Iterator[ImageContent]:
    for index in range(len(dataset)):
        content = files_of(dataset, index)
        with suppress(UnreadableImageError):
            content |= meaning_of(dataset, index)
        yield image_content(index, dataset.image_id(index), content)


def of_device(device: torch.device, clustering: Clustering, ks: Sequence[K]) -> Record:
    """The part of the record that says what computed the clusters."""
    engine = None if list(ks) == [None] else engine_name(clustering, device.type)
    return Record(device_type=device.type, engine=engine)


def device_name(device: torch.device, processes: int = 1) -> str:
    """Name of a device: ``cuda:0 (NVIDIA H100)``, or ``2 x cpu (2 threads)`` with several processes."""
    name = str(device)
    if device.type == "cuda":
        name = f"{device} ({torch.cuda.get_device_name(device)})"
    if device.type == "cpu":
        name = f"{device} ({torch.get_num_threads()} threads)"
    return f"{processes} x {name}" if processes > 1 else name


def begin(config: dict[str, Any], before: Record | None) -> Record:
    """The record of a run that starts now or is resumed; it keeps the earlier attempts, those of ``before``."""
    started = datetime.now().astimezone().isoformat(timespec="microseconds")
    attempt = Attempt(started=started, commit=commit(), versions=versions())
    earlier = before or Record()
    record = Record(
        status="running",
        started=earlier.get("started", started),
        process=this_process(),
        config=config,
        code_sha256=code_sha256(),
        versions=attempt["versions"],
        commit=attempt["commit"],
        attempts=[*earlier.get("attempts", []), attempt],
    )
    if HydraConfig.initialized():
        record["overrides"] = [str(override) for override in HydraConfig.get().overrides.task]
    if "unlogged" in earlier:
        record["logged"] = earlier.get("logged", [])
    kept: Any = {key: value for key, value in earlier.items() if key in KEPT}
    record.update(kept)
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
        record.setdefault("seconds", {}).setdefault("total", round(time.perf_counter() - start, 3))
        save(folder, record)
    except ConflictingResultsError:
        raise
    except BaseException as error:
        record["status"] = "failed" if isinstance(error, Exception) else "interrupted"
        record |= Record(error=f"{type(error).__name__}: {error}", traceback=traceback.format_exc())
        save(folder, record)
        raise


def save(folder: RunFolder, record: Record) -> None:
    """Writes run.json, in one process only."""
    if is_rank_zero():
        write_json(folder.record, record)
