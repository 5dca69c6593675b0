"""The journal of a run: which images each process has finished, so that a killed run can be resumed."""

import json
import os
import shutil
import time
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, suppress
from itertools import chain
from pathlib import Path
from typing import NamedTuple, TypedDict

from nave.data.interface import Content
from nave.runs.layout import K, RunFolder, write_chunks
from nave.runs.prediction import Line
from nave.strict_json import NoJSONError, from_json, to_json

MAX_IMAGES = 1 << 26  # of a run
PATIENCE = 60.0  # seconds until files written by another machine must be visible on a shared file system


class Unreadable(TypedDict):
    """An image that could not be read, with the reason."""

    image_id: str
    reason: str


class Note(TypedDict, total=False):
    """An entry of the journal: one image finished at one K (``k``, ``line``), or unreadable.

    ``index`` is the image's position in the data set, ``content`` what it was read from.
    """

    index: int
    content: Content
    k: K
    line: Line
    unreadable: Unreadable


UNREADABLE = ""  # in place of a K


class Place(NamedTuple):
    """Where a note lies: the number of its file, and its first byte there."""

    part: int
    start: int


OFFSET = 44  # bits of a first byte: files of 16 TiB, a million of them


class Places:
    """Where the notes of one kind lie, by the position of their image: eight bytes an image."""

    def __init__(self) -> None:
        self._packed = array("Q")  # 0: no note; else the file in the upper bits, the first byte counted from 1 below

    def __setitem__(self, index: int, place: Place) -> None:
        if index >= len(self._packed):
            self._packed.frombytes(bytes((index + 1 - len(self._packed)) * self._packed.itemsize))
        self._packed[index] = place.part << OFFSET | place.start + 1

    def __iter__(self) -> Iterator[Place]:
        """In the data set's order."""
        return (_unpacked(packed) for packed in self._packed if packed)

    def __len__(self) -> int:
        return len(self._packed) - self._packed.count(0)

    def at(self, index: int) -> Place | None:
        """The place of the note about one image, if there is one."""
        packed = self._packed[index] if index < len(self._packed) else 0
        return _unpacked(packed) if packed else None

    @property
    def stop(self) -> int:
        """One more than the last position."""
        return len(self._packed)


def _unpacked(packed: int) -> Place:
    return Place(packed >> OFFSET, (packed & (1 << OFFSET) - 1) - 1)


Current = Callable[[Note], bool]  # whether the image of a note, and its files, are still what they were


class Journal:
    """The notes of all processes of a run.

    Every process appends to its own file, so no lock is needed, and a killed process loses at most one image.

    Args:
        folder: Folder of the run.
        ks: The numbers of clusters of the run.
    """

    def __init__(self, folder: RunFolder, ks: Sequence[K]) -> None:
        self.folder, self.ks = folder, tuple(ks)

    def append(self, rank: int, *notes: Note) -> None:
        """Appends notes of the process ``rank``."""
        self.append_lines(rank, self.lines(rank, *notes))

    def lines(self, rank: int, *notes: Note) -> bytes:
        """The lines of notes of the process ``rank``."""
        return "".join(f"{to_json(note, self.folder.part(rank))}\n" for note in notes).encode()

    def append_lines(self, rank: int, lines: bytes) -> None:
        """Appends whole lines of the process ``rank``."""
        path = self.folder.part(rank)
        path.parent.mkdir(parents=True, exist_ok=True)
        start = b"\n" if _is_torn(path) else b""
        with path.open("ab", buffering=0) as file:  # one write: the notes of two processes cannot mix
            file.write(start + lines)

    def finished(self, current: Current | None = None) -> frozenset[str]:
        """Ids of the images that need no more work: finished at every K, or unreadable, and ``current``."""
        index = _Index(self.folder, current)
        notes = index.notes(index.finished(self.ks))
        return frozenset((note["line"] if "line" in note else note["unreadable"])["image_id"] for note in notes)

    def collect(self, images: int, current: Current | None = None) -> list[Unreadable]:
        """Writes predictions.jsonl for every K, and data.jsonl. Called by one process when all are done.

        Args:
            images: Number of images that must be finished. Notes of other machines may take a while to become visible
                on a shared file system.
            current: See :meth:`finished`.

        Returns:
            The images that could not be read.

        Raises:
            RuntimeError: If images are still missing after a minute.
        """
        index = self._wait(images, current)
        contents = ({"index": n["index"], **n["content"]} for n in index.notes(index.one_each()) if "content" in n)
        if first := next(contents, None):
            self._write(self.folder.data(), chain([first], contents))
        for k in self.ks:
            lines = (note["line"] for note in index.notes(index.at(k)))
            self._write(self.folder.at(k, self.ks).predictions, lines)
        return [note["unreadable"] for note in index.notes(index.unreadable)]

    def _write(self, path: Path, lines: Iterable[object]) -> None:
        write_chunks(path, (f"{to_json(line, self.folder.path)}\n".encode() for line in lines))

    def remarks(self) -> dict[str, int]:
        """How many images were read with which remark; for use after :meth:`collect`."""
        if not self.folder.data().is_file():
            return {}
        with self.folder.data().open(encoding="utf-8") as lines:
            counts = Counter(remark for line in lines if '"remarks"' in line for remark in json.loads(line)["remarks"])
        return dict(counts)

    def _wait(self, images: int, current: Current | None) -> "_Index":
        deadline = time.monotonic() + PATIENCE
        while (finished := len((index := _Index(self.folder, current)).finished(self.ks))) < images:
            if time.monotonic() > deadline:
                raise RuntimeError(
                    f"{self.folder.path}: {finished} of {images} images are noted as finished: run it again"
                )
            time.sleep(0.5)
        return index

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


def _whole_lines(path: Path) -> Iterator[tuple[int, Note]]:
    """The notes in one file and where they begin; skips incomplete lines, whose images count as missing."""
    start = 0
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            with suppress(NoJSONError):
                note = from_json(line, path, number)
                if _is_note(note):
                    yield start, note
            start += len(line)


def _is_note(note: object) -> bool:
    """Whether a line that is JSON is a note; the end of a torn one, such as ``5``, may be JSON too."""
    if not isinstance(note, dict) or ("line" in note) == ("unreadable" in note):
        return False
    if type(note.get("index")) is not int or not 0 <= note["index"] < MAX_IMAGES:
        return False
    about = note.get("line", note.get("unreadable"))
    if not isinstance(about, dict) or not isinstance(about.get("image_id"), str):
        return False
    return "k" in note if "line" in note else isinstance(about.get("reason"), str)


class _Index:
    """Where the notes of all processes lie that hold; of two on the same, the last one. The notes stay on disk."""

    def __init__(self, folder: RunFolder, current: Current | None) -> None:
        self._parts = sorted(folder.parts.glob("*.jsonl"))
        self._places: dict[str, Places] = {}  # by K as text, or UNREADABLE
        for number, part in enumerate(self._parts):
            for start, note in _whole_lines(part):
                if current is None or current(note):
                    kind = str(note["k"]) if "line" in note else UNREADABLE
                    self._places.setdefault(kind, Places())[note["index"]] = Place(number, start)

    def at(self, k: K) -> Places:
        """The notes at one K."""
        return self._places.get(str(k), Places())

    @property
    def unreadable(self) -> Places:
        """The notes on images that could not be read."""
        return self._places.get(UNREADABLE, Places())

    def one_each(self) -> Places:
        """One note of every image."""
        one_each = Places()
        for _, places in sorted(self._places.items()):
            for index in range(places.stop):
                if place := places.at(index):
                    one_each[index] = place
        return one_each

    def finished(self, ks: Sequence[K]) -> Places:
        """One note of every image that is unreadable, or finished at each of ``ks``."""
        finished, at_ks = Places(), [self.at(k) for k in ks]
        for index in range(max(places.stop for places in (*at_ks, self.unreadable))):
            known = [places.at(index) for places in at_ks]
            if place := self.unreadable.at(index) or (all(known) and known[0]):
                finished[index] = place
        return finished

    def notes(self, places: Iterable[Place]) -> Iterator[Note]:
        """Reads notes one by one."""
        with ExitStack() as files:
            parts = [files.enter_context(part.open("rb")) for part in self._parts]
            for place in places:
                parts[place.part].seek(place.start)
                note: Note = json.loads(parts[place.part].readline())
                yield note
