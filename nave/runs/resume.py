"""Decides whether a run may be resumed in a folder, and whether its results already exist elsewhere."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nave.runs.layout import RUN, RunFolder
from nave.runs.record import Record, flat, read_record

# keys that do not change a single byte of the results
FREE = (
    *("name", "outputs", "skip_existing", "objective", "logger", "report"),
    *("cache", "cache_limit_gb", "loader.num_workers", "trainer.devices", "trainer.num_nodes", "trainer.strategy"),
)
IDENTITY = ("config", "weights_sha256", "data_sha256")


class ConflictingResultsError(ValueError):
    """The folder holds results of another configuration, other weights or other data."""


def check_same(before: Record | None, now: Record, folder: RunFolder) -> None:
    """Checks that a run continues with the configuration, weights and data it was started with.

    Parts that a record lacks are not compared. A run that ended before it had read its data has no results to protect.

    Args:
        before: The record in ``folder``; None if the folder is empty.
        now: The record of the run to be started.
        folder: Folder of the run.

    Raises:
        ConflictingResultsError: If keys differ, naming them with both values.
    """
    if before is None or _has_no_results(before) or not (differing := _differences(before, now)):
        return
    reasons = "; ".join(f"{key} was {old!r}, is {new!r}" for key, (old, new) in sorted(differing.items()))
    raise ConflictingResultsError(
        f"{folder.path} holds results of another run ({reasons}): results are never mixed. Repeat that run, "
        "choose another folder (hydra.run.dir=FOLDER), or delete this one"
    )


def matching_run(folder: RunFolder, now: Record, outputs: Path) -> RunFolder | None:
    """Finds the folder of a finished run with the same results: the run's own, or the newest one under ``outputs``."""
    records = sorted([*outputs.glob(f"*/{RUN}"), *outputs.glob(f"*/*/{RUN}")], reverse=True)
    for candidate in [folder, *(RunFolder(path.parent) for path in records)]:
        record = read_record(candidate)
        if record and record["status"] == "ok" and not _differences(record, now):
            return candidate
    return None


def reuse_results(source: RunFolder, folder: RunFolder) -> Record:
    """Links (or else copies) the results of the run ``source`` into ``folder``; returns their record."""
    record = read_record(source)
    if record is None:
        raise FileNotFoundError(f"{source.path} holds no {RUN}")
    if source.path.resolve() == folder.path.resolve():
        return record
    ignored = shutil.ignore_patterns(".hydra", "*.log", RUN, *record.get("logged", []))
    shutil.copytree(source.path, folder.path, copy_function=_link, ignore=ignored, dirs_exist_ok=True)
    return record | Record(same_as=str(source.path), logged=[])


def _has_no_results(before: Record) -> bool:
    return before["status"] != "ok" and "data_sha256" not in before


def _differences(before: Record, now: Record) -> dict[str, tuple[Any, Any]]:
    old, new = (dict(flat(_identity(record, other))) for record, other in ((before, now), (now, before)))
    keys = {key for key in old.keys() | new.keys() if not _free(key)}
    return {key.removeprefix("config."): (old.get(key), new.get(key)) for key in keys if old.get(key) != new.get(key)}


def _identity(record: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    return {key: record[key] for key in IDENTITY if key in record and key in other}


def _free(key: str) -> bool:
    inner = key.removeprefix("config.")
    return any(inner == free or inner.startswith(f"{free}.") for free in FREE)


def _link(source: str, target: str) -> None:
    Path(target).unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without hard links
        shutil.copy2(source, target)
