"""Downloads that resume, are verified, and never leave half a data set behind."""

import hashlib
import shutil
import tarfile
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from pathlib import Path

from filelock import FileLock
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

_TIMEOUT = 15.0  # seconds without a byte
_CHUNK = 1 << 20


class DownloadError(OSError):
    """A download that could not be finished or verified; what has arrived is kept for the next attempt."""


@dataclass(frozen=True)
class Download:
    """What is to lie at `target`: the file at `url`, or one `member` (folder or file) of that tar or zip.

    `checksum` is that of the file at `url`, as "md5:…" or "sha256:…".
    """

    url: str
    checksum: str
    target: Path
    member: str | None = None


def fetch(wanted: Download) -> None:
    """Puts what is wanted at its target, whole or not at all; does nothing where the target exists.

    Several processes may ask for it at once: one fetches, the others wait. Raises DownloadError.
    """
    with _alone(wanted.target):
        if wanted.target.exists():
            return
        if wanted.member is None:
            _download(wanted.url, wanted.target, wanted.checksum)
            return
        packed = wanted.target.with_name(f".{wanted.target.name}.packed")  # no name that a user's file has
        if not packed.exists():
            _download(wanted.url, packed, wanted.checksum)
        _unpack(packed, wanted.member, wanted.target)
        packed.unlink()


@contextmanager
def _alone(target: Path) -> Iterator[None]:
    target.parent.mkdir(parents=True, exist_ok=True)
    lock = target.with_name(f".{target.name}.lock")
    with FileLock(lock):
        yield
    lock.unlink(missing_ok=True)


def _download(url: str, target: Path, checksum: str) -> None:
    """Into `<target>.part`, which the next attempt goes on with, and only then to `target`."""
    part = target.with_name(f"{target.name}.part")
    before = -1
    while before < _arrived(part):  # as long as each attempt brings something
        before = _arrived(part)
        if _attempt(url, part):
            _verify(url, part, checksum)
            part.rename(target)
            return
    raise DownloadError(f"{url} stopped after {before} bytes; run the same command again to go on from there")


def _arrived(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0


def _attempt(url: str, part: Path) -> bool:
    """Whether the file is complete now; False when the connection broke on the way."""
    try:
        with _open(url, _arrived(part)) as response:
            return _append(response, part)
    except (HTTPException, ConnectionError, TimeoutError):
        return False
    except urllib.error.HTTPError as error:
        if error.code == 416:  # nothing lies behind the bytes that are here already
            return True
        raise DownloadError(f"{url}: the server answers {error.code} {error.reason}") from error
    except urllib.error.URLError as error:
        raise DownloadError(f"{url} cannot be reached: {error.reason}") from error


def _open(url: str, start: int) -> HTTPResponse:
    request = urllib.request.Request(url, headers={"Range": f"bytes={start}-"} if start else {})
    response: HTTPResponse = urllib.request.urlopen(request, timeout=_TIMEOUT)
    return response


def _append(response: HTTPResponse, part: Path) -> bool:
    resumed = response.status == 206  # a server without ranges answers 200 and sends everything again
    start = _arrived(part) if resumed else 0
    length = response.headers["Content-Length"]
    total = None if length is None else start + int(length)
    with part.open("ab" if resumed else "wb") as file, _progress(part.stem, start, total) as advance:
        while chunk := response.read(_CHUNK):
            file.write(chunk)
            advance(len(chunk))
    return total is None or _arrived(part) >= total


def _verify(url: str, part: Path, checksum: str) -> None:
    algorithm, _, expected = checksum.partition(":")
    with part.open("rb") as file:
        got = hashlib.file_digest(file, algorithm).hexdigest()
    if got != expected:
        part.unlink()
        raise DownloadError(f"{url}: {algorithm} is {got}, not {expected}; what came is deleted, try again")


def _unpack(packed: Path, member: str, target: Path) -> None:
    folder = target.with_name(f".{target.name}.unpacking")
    shutil.rmtree(folder, ignore_errors=True)  # left by a process that was killed
    try:
        if zipfile.is_zipfile(packed):
            with zipfile.ZipFile(packed) as archive:
                archive.extractall(folder)
        else:
            with tarfile.open(packed) as archive_of_tape:
                # from Python 3.11.4 on; the checksum has vouched for the archive before
                archive_of_tape.extraction_filter = getattr(tarfile, "data_filter", None)
                archive_of_tape.extractall(folder)
        (folder / member).rename(target)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _progress(name: str, start: int, total: int | None) -> Iterator[Callable[[int], None]]:
    console = Console(stderr=True)
    columns = (
        "{task.description}",
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task(name, total=total, completed=start)
        yield lambda count: progress.advance(task, count)
