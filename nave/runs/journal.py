"""The journal of a run: which images each process has finished, so that a killed run can be resumed."""

import json
import os
import shutil
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import BinaryIO, NamedTuple, TypedDict

from nave.data.interface import Content
from nave.runs.layout import K, RunFolder, from_json, to_json, write_chunks
from nave.runs.prediction import Line

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
    """Where a note lies: its file and first byte; the image it is about, and whether that is still what it was."""

    part: Path
    start: int
    image_id: str
    current: bool


Places = dict[tuple[int, str], Place]  # by the image's position and K as text, or UNREADABLE
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
        return _finished(self._places(current), len(self.ks))

    def _places(self, current: Current | None) -> Places:
        """Where the notes of all processes lie; of two on the same, one that is ``current``. The notes stay on disk."""
        places: Places = {}
        for part in sorted(self.folder.parts.glob("*.jsonl")):
            for start, note in _whole_lines(part):
                key = note["index"], str(note["k"]) if "line" in note else UNREADABLE
                valid = current is None or current(note)
                if valid or key not in places:
                    image_id = (note["line"] if "line" in note else note["unreadable"])["image_id"]
                    places[key] = Place(part, start, sys.intern(image_id), valid)
        return places

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
        places = {key: place for key, place in self._wait(images, current).items() if place.current}
        with ExitStack() as files:
            notes = _Notes(files)
            one_each = {index: place for (index, _), place in sorted(places.items())}
            read = {index: place for index, place in one_each.items() if "content" in notes.at(place)}
            if read:
                contents = ({"index": index, **notes.at(place)["content"]} for index, place in read.items())
                self._write(self.folder.data(), contents)
            for k in self.ks:
                lines = (notes.at(place)["line"] for place in _in_order(places, str(k)))
                self._write(self.folder.at(k, self.ks).predictions, lines)
            return [notes.at(place)["unreadable"] for place in _in_order(places, UNREADABLE)]

    def _write(self, path: Path, lines: Iterable[object]) -> None:
        write_chunks(path, (f"{to_json(line, self.folder.path)}\n".encode() for line in lines))

    def remarks(self) -> dict[str, int]:
        """How many images were read with which remark; for use after :meth:`collect`."""
        if not self.folder.data().is_file():
            return {}
        with self.folder.data().open(encoding="utf-8") as lines:
            counts = Counter(remark for line in lines if '"remarks"' in line for remark in json.loads(line)["remarks"])
        return dict(counts)

    def _wait(self, images: int, current: Current | None) -> Places:
        deadline = time.monotonic() + PATIENCE
        while (finished := len(_finished(places := self._places(current), len(self.ks)))) < images:
            if time.monotonic() > deadline:
                raise RuntimeError(
                    f"{self.folder.path}: {finished} of {images} images are noted as finished: run it again"
                )
            time.sleep(0.5)
        return places

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
            with suppress(json.JSONDecodeError, UnicodeDecodeError):
                note = from_json(line.decode(), path, number)
                if _is_note(note):
                    yield start, note
            start += len(line)


def _is_note(note: object) -> bool:
    """Whether a line that is JSON is a note; the end of a torn one, such as ``5``, may be JSON too."""
    if not isinstance(note, dict) or type(note.get("index")) is not int or ("line" in note) == ("unreadable" in note):
        return False
    about = note.get("line", note.get("unreadable"))
    if not isinstance(about, dict) or not isinstance(about.get("image_id"), str):
        return False
    return "k" in note if "line" in note else isinstance(about.get("reason"), str)


def _finished(places: Places, ks: int) -> frozenset[str]:
    current = [(k, place.image_id) for (_, k), place in places.items() if place.current]
    counts = Counter(image_id for k, image_id in current if k != UNREADABLE)
    unreadable = frozenset(image_id for k, image_id in current if k == UNREADABLE)
    return unreadable | {image_id for image_id, count in counts.items() if count == ks}


def _in_order(places: Places, k: str) -> list[Place]:
    """The places of the notes at one K, in the data set's order."""
    return [places[key] for key in sorted(key for key in places if key[1] == k)]


class _Notes:
    """Reads single notes; ``files`` closes what was opened."""

    def __init__(self, files: ExitStack) -> None:
        self._files, self._open = files, dict[Path, BinaryIO]()

    def at(self, place: Place) -> Note:
        if place.part not in self._open:
            self._open[place.part] = self._files.enter_context(place.part.open("rb"))
        self._open[place.part].seek(place.start)
        note: Note = json.loads(self._open[place.part].readline())
        return note
