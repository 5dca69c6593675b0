"""The journal of a run: which images each process has finished, so that a killed run can be resumed."""

import io
import json
import os
import shutil
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import chain
from pathlib import Path

from nave.runs.contents import image_content
from nave.runs.files import write_chunks
from nave.runs.layout import K, RunFolder
from nave.runs.notes import Current, Note, Notes, Unreadable, about
from nave.runs.packing import Catalogue
from nave.runs.prediction import Line
from nave.runs.shards import PACKED, Span
from nave.strict_json import to_json

DIGITS = 16  # of a hash that notes repeat
PATIENCE = 60.0  # seconds until files written by another machine must be visible on a shared file system


class Journal:
    """The notes of all processes of a run.

    Every process appends to its own file, so no lock is needed, and a killed process loses at most one image.

    Args:
        head: sha256 of the foreground head that judges the images.
    """

    def __init__(self, folder: RunFolder, ks: Sequence[K], head: str | None = None) -> None:
        self.folder, self.ks = folder, tuple(ks)
        self.head = None if head is None else head[:DIGITS]

    def append(self, rank: int, *notes: Note) -> None:
        """Appends notes of the process ``rank``."""
        self.append_lines(rank, self.lines(rank, *notes))

    def lines(self, rank: int, *notes: Note) -> bytes:
        """The lines of notes of the process ``rank``."""
        judged = Note() if self.head is None else Note(head=self.head)
        return "".join(f"{to_json(note | judged, self.folder.part(rank))}\n" for note in notes).encode()

    def append_lines(self, rank: int, lines: bytes) -> None:
        """Appends whole lines of the process ``rank``."""
        with _appended(self.folder.part(rank)) as file:  # one write: the notes of two processes cannot mix
            file.write(b"\n" + lines if _is_torn(file) else lines)

    def read(self, current: Current | None = None) -> Notes:
        """Reads the notes of all processes; those before this call hold if they are ``current``."""
        return Notes(self.folder, self.ks, current)

    def finished(self) -> frozenset[int]:
        """Positions of the images that need no more work: finished at every K, or unreadable."""
        return frozenset(self.read().finished())

    def collect(self, images: int, notes: Notes | None = None) -> list[Unreadable]:
        """Writes predictions.jsonl for every K, and data.jsonl; puts shards in order.

        Called by one process when all are done.

        Args:
            images: Number of images that must be finished. Notes of other machines may take a while to become visible
                on a shared file system.
            notes: What was read before the work; what was added since is read now.

        Returns:
            The images that could not be read.

        Raises:
            RuntimeError: If images are still missing after a minute.
        """
        notes = self._wait(images, notes or self.read())
        contents = (
            image_content(note["index"], about(note)["image_id"], note["content"])
            for note in notes.one_each()
            if "content" in note
        )
        if first := next(contents, None):
            self._write(self.folder.data(), chain([first], contents))
        for k in self.ks:
            catalogues = {kind: Catalogue(self.folder.at(k, self.ks).path / kind) for kind in PACKED}
            self._write(self.folder.at(k, self.ks).predictions, _lines(notes.at(k), catalogues))
            for catalogue in catalogues.values():
                catalogue.seal()
        return [note["unreadable"] for note in notes.unreadable()]

    def _write(self, path: Path, lines: Iterable[object]) -> None:
        write_chunks(path, (f"{to_json(line, self.folder.path)}\n".encode() for line in lines))

    def remarks(self) -> dict[str, int]:
        """How many images were read with which remark; for use after :meth:`collect`."""
        if not self.folder.data().is_file():
            return {}
        with self.folder.data().open(encoding="utf-8") as lines:
            counts = Counter(remark for line in lines if '"remarks"' in line for remark in json.loads(line)["remarks"])
        return dict(counts)

    def _wait(self, images: int, notes: Notes) -> Notes:
        deadline = time.monotonic() + PATIENCE
        notes.read()
        while (finished := sum(1 for _ in notes.finished())) < images:
            if time.monotonic() > deadline:
                raise RuntimeError(
                    f"{self.folder.path}: {finished} of {images} images are noted as finished: run it again"
                )
            time.sleep(0.5)
            notes.read()
        return notes

    def discard(self) -> None:
        """Deletes the notes, once predictions.jsonl has been written."""
        shutil.rmtree(self.folder.parts, ignore_errors=True)

    def clear(self) -> None:
        """Deletes the notes and results of an earlier run of the same configuration."""
        self.discard()
        for k in self.ks:
            self.folder.at(k, self.ks).clear()


def _lines(notes: Iterable[Note], catalogues: Mapping[str, Catalogue]) -> Iterator[Line]:
    """The predictions of notes, whose packed files are catalogued on the way."""
    for note in notes:
        for kind, span in note.get("packed", {}).items():
            catalogues[kind].add(note["line"]["image_id"], Span(*span))
        yield note["line"]


def _appended(path: Path) -> io.FileIO:
    """A file to read and to append to, whose folder is made where it is missing."""
    with suppress(FileNotFoundError):
        return path.open("a+b", buffering=0)
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.open("a+b", buffering=0)


def _is_torn(file: io.FileIO) -> bool:
    """Whether the last line is incomplete, because its process was killed."""
    if not file.seek(0, os.SEEK_END):
        return False
    file.seek(-1, os.SEEK_END)
    return file.read(1) != b"\n"


def with_spans(line: bytes, packed: Mapping[str, Span]) -> bytes:
    """The line of a note with where its files lie, which only the process that writes the shards knows."""
    return line.removesuffix(b"}\n") + f', "packed": {json.dumps(packed)}}}\n'.encode()
