"""The journal of a run: which images each process has finished, so that a killed run can be resumed."""

import json
import os
import shutil
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypedDict

from nave.runs.layout import K, RunFolder, write_whole
from nave.runs.prediction import Line

PATIENCE = 60.0  # seconds until files written by another machine must be visible on a shared file system


class Unreadable(TypedDict):
    """An image that could not be read, with the reason."""

    image_id: str
    reason: str


class Note(TypedDict, total=False):
    """An entry of the journal: one image finished at one K (``k``, ``line``), or unreadable.

    ``index`` is the image's position in the data set.
    """

    index: int
    k: K
    line: Line
    unreadable: Unreadable


class Journal:
    """The notes of all processes of a run.

    Every process appends to its own file, so no lock is needed, and a killed process loses at most one image.

    Args:
        folder: Folder of the run.
        ks: The numbers of clusters of the run.
    """

    def __init__(self, folder: RunFolder, ks: Sequence[K]) -> None:
        self.folder, self.ks = folder, tuple(ks)

    def append(self, rank: int, note: Note) -> None:
        """Appends a note of the process ``rank``."""
        path = self.folder.part(rank)
        path.parent.mkdir(parents=True, exist_ok=True)
        start = "\n" if _is_torn(path) else ""
        with path.open("a", encoding="utf-8") as file:
            file.write(f"{start}{json.dumps(note)}\n")

    def notes(self) -> list[Note]:
        """The notes of all processes so far, in the data set's order, without duplicates."""
        notes = [note for part in sorted(self.folder.parts.glob("*.jsonl")) for note in _whole_lines(part)]
        unique = {(note["index"], str(note.get("k"))): note for note in notes}
        return sorted(unique.values(), key=lambda note: note["index"])

    def finished(self) -> frozenset[str]:
        """Ids of the images that need no more work: finished at every K, or unreadable."""
        notes = self.notes()
        counts = Counter(note["line"]["image_id"] for note in notes if "line" in note)
        unreadable = frozenset(note["unreadable"]["image_id"] for note in notes if "unreadable" in note)
        return unreadable | {image_id for image_id, count in counts.items() if count == len(self.ks)}

    def collect(self, images: int) -> list[Unreadable]:
        """Writes predictions.jsonl for every K. Called by one process when all are done.

        Args:
            images: Number of images that must be finished. Notes of other machines may take a while to become visible
                on a shared file system.

        Returns:
            The images that could not be read.

        Raises:
            RuntimeError: If images are still missing after a minute.
        """
        self._wait(images)
        notes = self.notes()
        for k in self.ks:
            lines = [note["line"] for note in notes if "line" in note and note["k"] == k]
            text = "".join(json.dumps(line) + "\n" for line in lines)
            write_whole(self.folder.at(k, self.ks).predictions, text)
        return [note["unreadable"] for note in notes if "unreadable" in note]

    def _wait(self, images: int) -> None:
        deadline = time.monotonic() + PATIENCE
        while (finished := len(self.finished())) < images:
            if time.monotonic() > deadline:
                raise RuntimeError(
                    f"{self.folder.path}: {finished} of {images} images are noted as finished: run it again"
                )
            time.sleep(0.5)

    def discard(self) -> None:
        """Deletes the notes, once predictions.jsonl has been written."""
        shutil.rmtree(self.folder.parts, ignore_errors=True)

    def clear(self) -> None:
        """Deletes the notes and results of an earlier run of the same configuration."""
        self.discard()
        for k in self.ks:
            self.folder.at(k, self.ks).clear()


def _is_torn(path: Path) -> bool:
    """Whether the last line is incomplete, because its process was killed."""
    if not path.exists() or not path.stat().st_size:
        return False
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read() != b"\n"


def _whole_lines(path: Path) -> Iterator[Note]:
    """Reads the notes in one file; skips incomplete lines, whose images count as missing."""
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            yield json.loads(line)
        except json.JSONDecodeError:
            continue
