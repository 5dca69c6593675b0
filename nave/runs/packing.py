"""Writing shards: each process appends to its own, and the first one puts all of them in order in the end.

A file counts when a note in the journal says where it lies. What was written behind the last noted file, a torn one
say, is written over by the process that goes on; a region that a note names never is.
"""

import io
import os
import shutil
import struct
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from nave.runs.files import temporary_path, write_chunks
from nave.runs.layout import K, RunFolder
from nave.runs.notes import Ends
from nave.runs.shards import BLOCK, ENTRY, INDEX, Span, key_of, shard

LIMIT = 1 << 30  # bytes of a shard
END = bytes(2 * BLOCK)  # of a tar file
DEAD = "__dead__"  # what WebDataset passes over
_PACKED = struct.Struct("<24sIIqqI")  # an ENTRY


class Member(NamedTuple):
    """A file as it lies in a shard: header, content and padding; ``start`` is the first byte of the content."""

    bytes: bytes
    start: int
    size: int


def member(name: str, content: bytes) -> Member:
    """A file as it lies in a shard; equal files have equal bytes."""
    header = _header(name, len(content))
    return Member(header + content + bytes(-len(content) % BLOCK), len(header), len(content))


def _header(name: str, size: int) -> bytes:
    info = tarfile.TarInfo(name)
    info.size = size
    return info.tobuf(tarfile.PAX_FORMAT)


class Packer:
    """Appends the files of images to the shards of one process.

    Args:
        ends: where the noted files of its shards end.
    """

    def __init__(self, folder: RunFolder, ks: Sequence[K], rank: int, ends: Ends) -> None:
        self._folder, self._ks, self._rank, self._ends = folder, ks, rank, ends
        self._shards: dict[tuple[K, str], _Shards] = {}

    def append(self, k: K, members: Mapping[str, Member]) -> dict[str, Span]:
        """Writes the files of one image at one K; where they lie, by their kinds.

        Raises:
            OSError: if one cannot be written, such as on a full disk; the next is written in its place.
        """
        return {kind: self._of(k, kind).append(one) for kind, one in members.items()}

    def close(self) -> None:
        """Closes the shards."""
        for shards in self._shards.values():
            shards.close()
        self._shards.clear()

    def _of(self, k: K, kind: str) -> "_Shards":
        if (k, kind) not in self._shards:
            folder = self._folder.at(k, self._ks).path / kind
            self._shards[k, kind] = _Shards(folder, self._rank, self._ends.get((str(k), kind, self._rank)))
        return self._shards[k, kind]


class _Shards:
    """The shards of one process in one folder, the last of which is open.

    Args:
        end: number of the last one, and where the noted files in it end; None if there are none.
    """

    def __init__(self, folder: Path, rank: int, end: tuple[int, int] | None) -> None:
        self._folder, self._rank = folder, rank
        self._number, self._end = end or (-1, 0)
        path = shard(folder, rank, self._number)
        if end and _is_ours(path, self._end):
            self._file = path.open("r+b", buffering=0)
            self._file.truncate(self._end)
        else:
            self._begin()

    def _begin(self) -> None:
        """Opens the next shard."""
        self._number, self._end = self._number + 1, 0
        path = shard(self._folder, self._rank, self._number)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)  # of an attempt that noted nothing in it, or a link to another run's
        self._file = path.open("xb", buffering=0)

    def append(self, one: Member) -> Span:
        """Writes one file."""
        if self._end and self._end + len(one.bytes) > LIMIT:
            self.close()
            self._begin()
        written = 0
        while written < len(one.bytes):
            written += os.pwrite(self._file.fileno(), memoryview(one.bytes)[written:], self._end + written)
        span = Span(self._rank, self._number, self._end, self._end + one.start, one.size)
        self._end = span.stop
        return span

    def close(self) -> None:
        """Closes the last one."""
        self._file.close()


def _is_ours(path: Path, end: int) -> bool:
    """Whether a shard may be gone on with: it holds all that is noted, and no other run links to it."""
    try:
        found = path.stat()
    except OSError:
        return False
    return found.st_size >= end and found.st_nlink == 1


class Catalogue:
    """The index of one folder of shards, in the making: some bytes an image."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._bytes = folder, bytearray()

    def add(self, image_id: str, span: Span) -> None:
        """Notes where the file of an image lies."""
        self._bytes += _PACKED.pack(key_of(image_id), *span)

    def seal(self) -> None:
        """Puts the shards in order, of whose files only those that were added count, and writes the index.

        What else lies in a shard is buried, as its other files stay where they are noted; shards without files vanish.
        """
        entries = np.frombuffer(self._bytes, ENTRY)
        used = dict(self._by_shard(entries)) if len(entries) else {}
        for path in self._folder.glob("*.tar"):
            if path in used:
                _tidy(path, used[path])
            else:
                path.unlink()
        if used:
            write_chunks(self._folder / INDEX, _npy(entries[np.argsort(entries["key"], kind="stable")]))

    def _by_shard(self, entries: Any) -> Iterator[tuple[Path, Any]]:
        """The entries of every shard, in the order in which they lie there."""
        entries = entries[np.lexsort((entries["header"], entries["number"], entries["rank"]))]
        files = entries[["rank", "number"]]
        for part in np.split(entries, 1 + np.flatnonzero(files[1:] != files[:-1])):
            yield shard(self._folder, int(part["rank"][0]), int(part["number"][0])), part


def _npy(array: Any) -> list[bytes]:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, np.lib.format.header_data_from_array_1_0(array))
    return [header.getvalue(), array.tobytes()]


def _tidy(path: Path, spans: Any) -> None:
    """Buries what lies between the files of a shard, cuts off what lies behind them, and ends it as a tar file ends."""
    size = spans["size"].astype(np.int64)
    stops = spans["start"] + size + -size % BLOCK
    before, end = np.concatenate([[0], stops[:-1]]), int(stops[-1])
    gaps = [(int(a), int(b)) for a, b in zip(before, spans["header"], strict=True) if b > a]
    changes = {start: _header(DEAD, stop - start - BLOCK) for start, stop in gaps} | {end: END}
    if _size(path) == end + len(END) and all(_holds(path, *change) for change in changes.items()):
        return
    if path.stat().st_nlink > 1:  # another run's too
        _replace_by_copy(path)
    with path.open("r+b") as file:
        file.truncate(end)
        for start, content in changes.items():
            file.seek(start)
            file.write(content)


def _size(path: Path) -> int:
    with path.open("rb") as file:  # opened, since a file's size on another machine is known for certain only then
        return file.seek(0, os.SEEK_END)


def _holds(path: Path, start: int, content: bytes) -> bool:
    with path.open("rb") as file:
        return os.pread(file.fileno(), len(content), start) == content


def _replace_by_copy(path: Path) -> None:
    temporary = temporary_path(path)
    try:
        shutil.copyfile(path, temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
