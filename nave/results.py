"""The files of one run: image by image while it runs, in the data set's order when it is done."""

import json
import os
import shutil
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

PREDICTIONS, METRICS, RUN = "predictions.jsonl", "metrics.json", "run.json"
PATIENCE = 60.0  # seconds: how long a shared file system may hide what another machine wrote


class RunFolder:
    """Where the results of a run lie; several K have a folder each, one K has the run folder itself.

    While the run goes on, every process appends notes to a part of its own, so nothing needs a lock and a kill
    loses at most the image at work. A note is ``{"index", "k", "line"}``, or ``{"index", "unreadable"}``.
    """

    def __init__(self, root: Path, ks: Sequence[int | str]) -> None:
        self.root, self.ks = root, tuple(ks)

    def of(self, k: int | str) -> Path:
        """The folder of one K's maps, overlays, predictions and metrics."""
        return self.root / f"k{k}" if len(self.ks) > 1 else self.root

    def part(self, rank: int) -> Path:
        """The file to which one process appends what it has finished."""
        return self.root / "parts" / f"{rank}.jsonl"

    def append(self, rank: int, note: dict[str, Any]) -> None:
        """Notes that one image is finished under one K, or cannot be read."""
        path = self.part(rank)
        path.parent.mkdir(parents=True, exist_ok=True)
        start = "\n" if _torn(path) else ""
        with path.open("a", encoding="utf-8") as file:
            file.write(f"{start}{json.dumps(note)}\n")

    def notes(self) -> list[dict[str, Any]]:
        """What all processes have noted so far, each image once a K, in the data set's order."""
        parts = sorted((self.root / "parts").glob("*.jsonl"))
        notes = [note for part in parts for note in _whole_lines(part)]
        once = {(note["index"], str(note.get("k"))): note for note in notes}
        return sorted(once.values(), key=lambda note: note["index"])

    def finished(self) -> frozenset[str]:
        """Ids of the images that need no more work: noted under every K, or unreadable."""
        notes = self.notes()
        times = Counter(note["line"]["image_id"] for note in notes if "line" in note)
        unreadable = frozenset(note["unreadable"]["image_id"] for note in notes if "unreadable" in note)
        return unreadable | {image_id for image_id, count in times.items() if count == len(self.ks)}

    def collect(self, images: int) -> list[dict[str, str]]:
        """Writes every K's predictions.jsonl; the images that could not be read, with the reasons.

        Called by one process when all are done. ``images`` must be finished: what another machine wrote may take a
        while to show on a shared file system.

        Raises:
            RuntimeError: if some are still missing after a minute.
        """
        self._wait(images)
        notes = self.notes()
        for k in self.ks:
            lines = [note["line"] for note in notes if "line" in note and note["k"] == k]
            write_whole(self.of(k) / PREDICTIONS, "".join(json.dumps(line) + "\n" for line in lines))
        return [note["unreadable"] for note in notes if "unreadable" in note]

    def _wait(self, images: int) -> None:
        end = time.monotonic() + PATIENCE
        while (found := len(self.finished())) < images:
            if time.monotonic() > end:
                raise RuntimeError(f"{self.root}: {found} of {images} images are noted as finished: run it again")
            time.sleep(0.5)

    def discard_parts(self) -> None:
        """Removes the notes, which predictions.jsonl holds by then."""
        shutil.rmtree(self.root / "parts", ignore_errors=True)

    def clear(self) -> None:
        """Removes what an earlier run of the same configuration left, pictures too."""
        self.discard_parts()
        for k in self.ks:
            for folder in ("maps", "overlays", "centroids"):
                shutil.rmtree(self.of(k) / folder, ignore_errors=True)
            for file in (PREDICTIONS, METRICS):
                (self.of(k) / file).unlink(missing_ok=True)


def _torn(path: Path) -> bool:
    """Whether a kill left the last line half-written."""
    if not path.exists() or not path.stat().st_size:
        return False
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read() != b"\n"


def _whole_lines(path: Path) -> Iterator[dict[str, Any]]:
    """A line that a kill left half-written is passed over: its image counts as missing."""
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            yield json.loads(line)
        except json.JSONDecodeError:
            continue


def read_record(folder: Path) -> dict[str, Any] | None:
    """What run.json says, if there is one."""
    path = folder / RUN
    record: dict[str, Any] | None = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None
    return record


def predictions(folder: Path) -> Iterator[dict[str, Any]]:
    """The lines of ``folder/predictions.jsonl``, one at a time: all of a large data set would fill the memory.

    Raises:
        FileNotFoundError: if the folder holds no predictions.
        ValueError: for a line that is no JSON, naming it.
    """
    path = folder / PREDICTIONS
    if not path.is_file():
        raise FileNotFoundError(f"{folder} holds no {PREDICTIONS}: is it the folder of a finished run?")
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            yield _parsed(path, number, line)


def read_predictions(folder: Path) -> list[dict[str, Any]]:
    """All lines at once; raises as :func:`predictions`."""
    return list(predictions(folder))


def _parsed(path: Path, number: int, line: str) -> dict[str, Any]:
    try:
        parsed: dict[str, Any] = json.loads(line)
    except json.JSONDecodeError as error:
        raise ValueError(f"{path}, line {number}: no JSON ({error.msg})") from error
    return parsed


def write_json(path: Path, content: Any) -> None:
    """Indented JSON, all of it or nothing."""
    write_whole(path, json.dumps(content, indent=2) + "\n")


def write_whole(path: Path, text: str) -> None:
    """A file that is never seen half-written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)


def _by_k(root: Path) -> list[Path]:
    """``k3`` before ``k10`` before ``kauto``."""
    return sorted(
        (path.parent for path in root.glob(f"k*/{PREDICTIONS}")), key=lambda path: (len(path.name), path.name)
    )


def prediction_folders(root: Path) -> list[Path]:
    """The folders with predictions in a run: itself, or one for every K.

    Raises:
        FileNotFoundError: if there is none.
    """
    folders = [root] if (root / PREDICTIONS).is_file() else _by_k(root)
    if not folders:
        raise FileNotFoundError(f"{root} holds no {PREDICTIONS}: is it the folder of a finished run?")
    return folders
