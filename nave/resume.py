"""When a run may go on in a folder, and when there is nothing left to do."""

import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from nave.results import RUN, read_record

# what makes a run faster, or tells of it elsewhere, and changes no byte of its results
FREE = (
    *("name", "outputs", "skip_existing", "objective", "logger", "report"),
    *("cache", "cache_limit_gb", "loader.num_workers", "trainer.devices", "trainer.num_nodes", "trainer.strategy"),
)
IDENTITY = ("config", "weights_sha256", "data_sha256")


class OtherResults(ValueError):  # noqa: N818 - it says what the folder holds
    """The folder holds results of another configuration, other weights or other data."""


def check_same(before: Mapping[str, Any] | None, now: Mapping[str, Any], folder: Path) -> None:
    """Lets a run go on in ``folder`` only with what it was begun with; keys that one record lacks are not compared.

    A run that ended before it had read its data has no results, and is in nobody's way.

    Raises:
        OtherResults: naming the keys that differ, with both values.
    """
    if before is None or _without_results(before) or not (differing := _differences(before, now)):
        return
    told = "; ".join(f"{key} was {old!r}, is {new!r}" for key, (old, new) in sorted(differing.items()))
    raise OtherResults(
        f"{folder} holds results of another run ({told}): results are never mixed. Repeat that run, "
        "choose another folder (hydra.run.dir=FOLDER), or delete this one"
    )


def refusal(job: Path) -> Path:
    """Where a sweep finds out that a job was refused its folder; the folder itself is left alone."""
    return job.parent / "refused" / f"{job.name}.txt"


def _without_results(before: Mapping[str, Any]) -> bool:
    return before["status"] != "ok" and "data_sha256" not in before


def _differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    shared = [key for key in IDENTITY if key in before and key in now]
    old, new = (dict(_flat({key: record[key] for key in shared})) for record in (before, now))
    keys = {key for key in old.keys() | new.keys() if not _free(key)}
    return {key.removeprefix("config."): (old.get(key), new.get(key)) for key in keys if old.get(key) != new.get(key)}


def _flat(node: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """Leaves with dotted keys; lists are leaves."""
    if not isinstance(node, Mapping):
        yield key, node
        return
    for name, child in node.items():
        yield from _flat(child, f"{key}.{name}" if key else str(name))


def _free(key: str) -> bool:
    inner = key.removeprefix("config.")
    return any(inner == free or inner.startswith(f"{free}.") for free in FREE)


def complete_twin(folder: Path, now: Mapping[str, Any], outputs: Path) -> Path | None:
    """A folder that holds all that this run would compute: its own, or the newest one under ``outputs``."""
    found = sorted([*outputs.glob(f"*/{RUN}"), *outputs.glob(f"*/*/{RUN}")], reverse=True)
    for candidate in [folder, *(path.parent for path in found)]:
        record = read_record(candidate)
        if record and record["status"] == "ok" and not _differences(record, now):
            return candidate
    return None


def adopt(twin: Path, folder: Path) -> dict[str, Any]:
    """Puts the results of ``twin`` into ``folder`` too, as hard links where the file system has them; the record."""
    record = read_record(twin)
    if record is None:
        raise FileNotFoundError(f"{twin} holds no {RUN}")
    if twin.resolve() == folder.resolve():
        return record
    own = shutil.ignore_patterns(".hydra", "*.log", RUN, *record.get("logged", []))
    shutil.copytree(twin, folder, copy_function=_link, ignore=own, dirs_exist_ok=True)
    return record | {"same_as": str(twin), "logged": []}


def _link(source: str, target: str) -> None:
    Path(target).unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without links
        shutil.copy2(source, target)
