"""Decides whether a run may be resumed in a folder, and whether its results already exist elsewhere.

What decides a result decides its identity: configuration, weights, the content of the data, the code and the libraries
it calls, the clustering engine and the type of device.
"""

import logging
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from nave.data.content import Content, is_same
from nave.data.interface import Dataset
from nave.processes.distributed import is_rank_zero
from nave.runs.contents import DAMAGED, read_contents
from nave.runs.damage import damaged, damaged_file
from nave.runs.files import PART, temporary_path
from nave.runs.journal import Journal
from nave.runs.layout import CLAIM, PLAN, RUN, RunFolder
from nave.runs.notes import Note
from nave.runs.record import Record, flat, read_record
from nave.runs.shards import Span

log = logging.getLogger(__name__)

# keys that do not change a single byte of the results
FREE = (
    *("name", "outputs", "skip_existing", "objective", "logger", "report", "training_name"),
    *("cache", "cache_limit_gb", "loader.num_workers", "trainer.devices", "trainer.num_nodes", "trainer.strategy"),
)
DECISIVE = ("torch", "torchvision", "timm", "numpy", "numba", "scikit-learn", "scipy", "pillow")
FROM_THE_START = ("config", "code_sha256", "versions")  # a record without them was written by older code
IDENTITY = (*FROM_THE_START, "weights_sha256", "data_sha256", "engine", "device_type", "foreground_sha256")
NEAR = 3  # keys in which a run may differ to be worth a word on why it is not reused


class ConflictingResultsError(ValueError):
    """The folder holds results of another run: another configuration, other weights, data, code or engine."""


def check_same(before: Record | None, now: Record, folder: RunFolder) -> None:
    """Checks that a run continues with the configuration, weights and data it was started with.

    Parts that a record lacks are not compared. A run that ended before it had read its data has no results to protect.

    Args:
        before: The record in ``folder``; None if the folder is empty.

    Raises:
        ConflictingResultsError: If keys differ, naming them with both values.
    """
    if before is None or (before["status"] != "ok" and "data_sha256" not in before):
        return
    if not (differing := _differences(before, now)):
        return
    raise ConflictingResultsError(
        f"{folder.path} holds results of another run ({'; '.join(_described(differing))}): results are never mixed. "
        "Repeat that run, choose another folder (hydra.run.dir=FOLDER), or delete this one"
    )


def matching_run(folder: RunFolder, now: Record, outputs: Path, dataset: Dataset) -> RunFolder | None:
    """Finds the folder of a finished run with the same results: the run's own, or the newest one under ``outputs``.

    The log says why the nearest one was not taken; other jobs of the same sweep differ on purpose.
    """
    records = sorted([*outputs.glob(f"*/{RUN}"), *outputs.glob(f"*/*/{RUN}")], reverse=True)
    reasons: dict[RunFolder, list[str]] = {}
    for candidate in [folder, *(RunFolder(path.parent) for path in records)]:
        with suppress(ValueError):  # a damaged run.json
            record = read_record(candidate)
            if record and record["status"] == "ok":
                reasons[candidate] = list(_reasons(record, now, candidate, dataset))
                if not reasons[candidate]:
                    return candidate
    nearest = min(
        (one for one in reasons if not _of_one_sweep(one, folder)),
        key=lambda candidate: len(reasons[candidate]),
        default=None,
    )
    if nearest and len(reasons[nearest]) <= NEAR:
        log.info("not reused: %s (%s)", nearest.path, "; ".join(reasons[nearest]))
    return None


def _of_one_sweep(one: RunFolder, other: RunFolder) -> bool:
    own, sweep = one.path.resolve(), other.path.resolve().parent
    return own.parent == sweep and own.name != other.path.name and (sweep / PLAN).is_file()


def _reasons(record: Record, now: Record, folder: RunFolder, dataset: Dataset) -> Iterator[str]:
    """Why the results of a finished run are not those of the run that starts now."""
    differing = _differences(record, now)
    yield from _described(differing)
    if differing:
        return
    try:
        changed = changed_images(folder.data(), dataset, record.get("total", -1))
    except ValueError as error:
        yield str(error)
    else:
        if changed:
            yield named(changed)
        elif path := damaged(folder, record):
            yield f"{path} is missing or damaged"


def named(changed: Sequence[str]) -> str:
    """``cat.jpg has changed``, or how many more."""
    return (
        f"{changed[0]} has changed" if len(changed) == 1 else f"{changed[0]} and {len(changed) - 1} more have changed"
    )


def changed_images(path: Path, dataset: Dataset, count: int) -> list[str]:
    """Ids of the images whose files or ground truth are not what they were.

    Args:
        path: what each image was read from, one line an image.
        count: number of images that were read.

    Raises:
        ValueError: if the file is missing or damaged, naming it.
    """
    changed: list[str] = []
    seen = 0
    for content in read_contents(path):
        if not 0 <= content["index"] < len(dataset):
            raise ValueError(f"{path} {DAMAGED}")
        seen += 1
        if not is_same(content, dataset, content["index"]):
            changed.append(dataset.image_id(content["index"]))
    if seen != count:
        raise ValueError(f"{path} {DAMAGED}")
    return changed


class Current:
    """Whether a note of the journal still holds: its head, its image and ground truth, the files that were written.

    ``changed`` collects the ids of the images that did change; ``centroids``: see :func:`damaged_file`.
    """

    def __init__(self, journal: Journal, dataset: Dataset, centroids: bool = False) -> None:
        self._journal, self._dataset, self._centroids = journal, dataset, centroids
        self._last: tuple[int, Content, bool] = -1, Content(), False  # notes over K follow each other
        self.changed: dict[str, None] = {}

    def __call__(self, note: Note) -> bool:
        """Whether the note holds."""
        if note.get("head") != self._journal.head:
            return False
        return self._is_same(note["index"], note.get("content", Content())) and self._is_whole(note)

    def _is_same(self, index: int, content: Content) -> bool:
        if self._last[:2] != (index, content):
            self._last = index, content, is_same(content, self._dataset, index)
            if not self._last[2]:
                self.changed[self._dataset.image_id(index)] = None
        return self._last[2]

    def _is_whole(self, note: Note) -> bool:
        if "line" not in note:
            return True
        packed = {kind: Span(*span) for kind, span in note.get("packed", {}).items()}
        results = self._journal.folder.at(note["k"], self._journal.ks)
        return not damaged_file(results, note["line"], self._centroids, packed)


def reuse_results(source: RunFolder, folder: RunFolder) -> Record:
    """Links (or else copies) the results of the run ``source`` into ``folder``; returns their record."""
    record = read_record(source)
    if record is None:
        raise FileNotFoundError(f"{source.path} holds no {RUN}")
    if source.path.resolve() == folder.path.resolve():
        return record
    if is_rank_zero():
        logs = (*record.get("logged", []), *record.get("unlogged", {}))
        ignored = shutil.ignore_patterns(".hydra", "*.log", RUN, f"{CLAIM}*", f".*{PART}", "parts", *logs)
        shutil.copytree(source.path, folder.path, copy_function=_link, ignore=ignored, dirs_exist_ok=True)
    record.pop("unlogged", None)
    return record | Record(same_as=str(source.path), logged=[])


def _described(differing: Mapping[str, tuple[Any, Any]]) -> list[str]:
    return [f"{key} was {old!r}, is {new!r}" for key, (old, new) in sorted(differing.items())]


def _differences(before: Record, now: Record) -> dict[str, tuple[Any, Any]]:
    compared = [key for key in IDENTITY if key in now and (key in before or key in FROM_THE_START)]
    old, new = (dict(flat(_decisive(record, compared))) for record in (before, now))
    keys = {key for key in old.keys() | new.keys() if not _free(key)}
    return {key.removeprefix("config."): (old.get(key), new.get(key)) for key in keys if old.get(key) != new.get(key)}


def _decisive(record: Mapping[str, Any], keys: list[str]) -> dict[str, Any]:
    found = {key: record[key] for key in keys if key in record}
    if "versions" in found:
        found["versions"] = {name: version for name, version in found["versions"].items() if name in DECISIVE}
    return found


def _free(key: str) -> bool:
    inner = key.removeprefix("config.")
    return any(inner == free or inner.startswith(f"{free}.") for free in FREE)


def _link(source: str, target: str) -> None:
    """Replaces ``target`` by a link to ``source``, at once, as another process may do the same."""
    temporary = temporary_path(Path(target))
    try:
        try:
            os.link(source, temporary)
        except OSError:  # another file system, or one without hard links
            shutil.copy2(source, temporary)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)  # it stays where the target is that link already, or after an interruption
