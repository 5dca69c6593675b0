"""Packed files of images: shards, which are uncompressed tar files, and the index that finds an image in them.

::

    maps/0000-000000.tar      maps of process 0, in the order in which they were finished: <image_id>.png
    maps/index.npy            where each of them lies

Names are those of WebDataset, so that ``webdataset.WebDataset`` reads shards as ``tarfile`` does, and ``tar -xf``
makes of them the files of a small run. What no longer counts is called ``__dead__``, which WebDataset passes over.
"""

import hashlib
import os
import tarfile
from bisect import bisect_left
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

BLOCK = tarfile.BLOCKSIZE
INDEX = "index.npy"
PACKED = ("maps", "centroids")  # the kinds of files that there is one of an image
MOST = 1 << 31  # of a number in a span: shards are smaller
DIGITS = 24  # hexadecimal, of the hash that stands for an image_id: none of a billion images meets another
ENTRY = np.dtype(
    [("key", f"S{DIGITS}"), ("rank", "<u4"), ("number", "<u4"), ("header", "<i8"), ("start", "<i8"), ("size", "<u4")]
)


class Span(NamedTuple):
    """Where a packed file lies: in which shard of which process, and its first bytes of header and content."""

    rank: int
    number: int
    header: int
    start: int
    size: int

    @property
    def stop(self) -> int:
        """The first byte of the next file."""
        return self.start + self.size + -self.size % BLOCK


class Stored(NamedTuple):
    """The bytes of one file of an image: those of a file of its own, or a part of a shard."""

    path: Path
    image_id: str
    span: Span | None = None

    def __str__(self) -> str:
        return str(self.path) if self.span is None else f"{self.path} ({self.image_id})"

    def read(self) -> bytes:
        """All of them; fewer if the shard is cut off. Raises OSError."""
        if self.span is None:
            return self.path.read_bytes()
        return self._part(self.span.start, self.span.size)

    def ends_with(self, ending: bytes) -> bool:
        """Whether the file exists and has this ending."""
        try:
            return self._part(self._size() - len(ending), len(ending)) == ending
        except (OSError, ValueError):  # missing, or shorter than the ending
            return False

    def _size(self) -> int:
        return self.path.stat().st_size if self.span is None else self.span.start + self.span.size

    def _part(self, start: int, size: int) -> bytes:
        file = os.open(self.path, os.O_RDONLY)
        try:
            there = max(0, os.fstat(file).st_size - start)  # a damaged index may name gigabytes
            return os.pread(file, min(size, there), start)
        finally:
            os.close(file)


def shard(folder: Path, rank: int, number: int) -> Path:
    """One of the shards that the process ``rank`` writes."""
    return folder / f"{rank:04}-{number:06}.tar"


def find(folder: Path, image_id: str) -> Stored | None:
    """The file of an image in a folder of shards; None if the folder is none, or has no such file.

    Raises:
        ValueError: if the index is damaged, naming it.
    """
    path = folder / INDEX
    if not path.is_file():
        return None
    entries, wanted = _entries(path, _version(path)), key_of(image_id)
    keys = entries["key"]
    place = bisect_left(keys, wanted)
    if place == len(keys) or keys[place] != wanted:
        return None
    return at(folder, image_id, Span(*entries[place].tolist()[1:]))


def at(folder: Path, image_id: str, span: Span) -> Stored:
    """The file of an image of which it is known where it lies."""
    return Stored(shard(folder, span.rank, span.number), image_id, span)


def key_of(image_id: str) -> bytes:
    """What stands for an image in the index."""
    return hashlib.blake2b(image_id.encode(), digest_size=DIGITS // 2).hexdigest().encode()


def _version(path: Path) -> tuple[int, ...]:
    found = path.stat()
    return found.st_ino, found.st_size, found.st_mtime_ns


@lru_cache(maxsize=64)
def _entries(path: Path, version: tuple[int, ...]) -> Any:  # noqa: ARG001 - part of the key
    """The index, which stays on disk; sorted by key."""
    try:
        entries = np.load(path, mmap_mode="r")
    except (ValueError, EOFError, OSError) as error:
        raise ValueError(f"{path}: no index can be read from it ({error}): run the images again") from error
    if not isinstance(entries, np.ndarray) or entries.dtype != ENTRY or entries.ndim != 1:
        raise ValueError(f"{path} is no index of shards: run the images again")
    return entries


def is_index(path: Path) -> bool:
    """Whether a file is a whole index."""
    try:
        _entries(path, _version(path))
    except (OSError, ValueError):
        return False
    return True


def are_spans(packed: object) -> bool:
    """Whether an object read from JSON says where packed files lie, by their kinds."""
    return isinstance(packed, dict) and all(map(_is_span, packed.values())) and packed.keys() <= {*PACKED}


def _is_span(numbers: object) -> bool:
    if not isinstance(numbers, list) or len(numbers) != len(Span._fields):
        return False
    return all(type(number) is int and 0 <= number < MOST for number in numbers)
