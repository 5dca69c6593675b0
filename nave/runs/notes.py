"""The notes in the journal of a run, read once: which images are finished, and where their notes and files lie."""

import json
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import NamedTuple, TypedDict

from nave.data.content import Content
from nave.runs.layout import K, RunFolder
from nave.runs.prediction import Line
from nave.runs.shards import Span, are_spans
from nave.strict_json import NoJSONError, from_json

MAX_IMAGES = 1 << 26  # of a run


class Unreadable(TypedDict):
    """An image that could not be read, with the reason."""

    image_id: str
    reason: str


class Note(TypedDict, total=False):
    """An entry of the journal: one image finished at one K (``k``, ``line``), or unreadable.

    ``index`` is the image's position in the data set, ``content`` what it was read from; ``packed`` says where its
    files lie, by their kinds, if they lie in shards (:class:`nave.runs.shards.Span`); ``head`` is the foreground head
    that judged the image, by the first digits of its sha256.
    """

    index: int
    content: Content
    k: K
    line: Line
    unreadable: Unreadable
    packed: dict[str, list[int]]
    head: str


def about(note: Note) -> Line | Unreadable:
    """The image of a note."""
    return note["line"] if "line" in note else note["unreadable"]


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


Ends = dict[tuple[str, str, int], tuple[int, int]]  # number and end of a last shard, by K as text, kind and rank


class Notes:
    """The notes of all processes that hold; of two on the same, the last one. They stay on disk.

    Every line is read once: by :meth:`read`, which goes on where it ended. What is noted later always holds.

    Args:
        current: Whether what was noted before still holds; None: it does.
    """

    def __init__(self, folder: RunFolder, ks: Sequence[K], current: Current | None = None) -> None:
        self._folder, self._ks = folder, ks
        self._parts: list[Path] = []
        self._read: list[tuple[int, int]] = []  # bytes and lines of each part
        self._places: dict[str, Places] = {}  # by K as text, or UNREADABLE
        self.ends: Ends = {}  # of all notes, since what they name is never written over
        self.read(current)

    def read(self, current: Current | None = None) -> None:
        """Reads what has been noted since."""
        new = sorted(set(self._folder.parts.glob("*.jsonl")) - {*self._parts})
        self._parts += new
        self._read += [(0, 0)] * len(new)
        for number, part in enumerate(self._parts):
            for start, end, note in _whole_lines(part, *self._read[number]):
                self._read[number] = end, self._read[number][1] + 1
                if note is not None:
                    self._note(note, Place(number, start), current)

    def _note(self, note: Note, place: Place, current: Current | None) -> None:
        kind = str(note["k"]) if "line" in note else UNREADABLE
        for name, span in note.get("packed", {}).items():
            found = Span(*span)
            key = kind, name, found.rank
            self.ends[key] = max(self.ends.get(key, (-1, 0)), (found.number, found.stop))
        if current is None or current(note):
            self._places.setdefault(kind, Places())[note["index"]] = place

    def at(self, k: K) -> Iterator[Note]:
        """The notes at one K, in the data set's order."""
        return self._notes(self._at(k))

    def unreadable(self) -> Iterator[Note]:
        """The notes on images that could not be read."""
        return self._notes(self._unreadable)

    def one_each(self) -> Iterator[Note]:
        """One note of every image."""
        one_each = Places()
        for _, places in sorted(self._places.items()):
            for index in range(places.stop):
                if place := places.at(index):
                    one_each[index] = place
        return self._notes(one_each)

    def finished(self) -> Iterator[int]:
        """Positions of the images that are unreadable, or finished at each K."""
        at_ks, unreadable = [self._at(k) for k in self._ks], self._unreadable
        for index in range(max(places.stop for places in (*at_ks, unreadable))):
            if unreadable.at(index) or (at_ks and all(places.at(index) for places in at_ks)):
                yield index

    def _at(self, k: K) -> Places:
        return self._places.get(str(k), Places())

    @property
    def _unreadable(self) -> Places:
        return self._places.get(UNREADABLE, Places())

    def _notes(self, places: Iterable[Place]) -> Iterator[Note]:
        """Reads notes one by one."""
        with ExitStack() as files:
            parts = [files.enter_context(part.open("rb")) for part in self._parts]
            for place in places:
                parts[place.part].seek(place.start)
                note: Note = json.loads(parts[place.part].readline())
                yield note


def _whole_lines(path: Path, start: int, number: int) -> Iterator[tuple[int, int, Note | None]]:
    """The lines of one file from ``start`` on: where each begins and ends, and its note.

    A last line that is incomplete is left for later; other lines that are no notes are None: their images are missing.
    """
    with path.open("rb") as file:
        file.seek(start)
        for line in file:
            number += 1
            end, note = start + len(line), None
            with suppress(NoJSONError):
                note = from_json(line, path, number)
            if note is None and not line.endswith(b"\n"):
                return
            yield start, end, note if _is_note(note) else None
            start = end


def _is_note(note: object) -> bool:
    """Whether a line that is JSON is a note; the end of a torn one, such as ``5``, may be JSON too."""
    if not isinstance(note, dict) or ("line" in note) == ("unreadable" in note):
        return False
    if type(note.get("index")) is not int or not 0 <= note["index"] < MAX_IMAGES:
        return False
    image = note.get("line", note.get("unreadable"))
    if not isinstance(image, dict) or not isinstance(image.get("image_id"), str):
        return False
    if "packed" in note and not are_spans(note["packed"]):
        return False
    return "k" in note if "line" in note else isinstance(image.get("reason"), str)
