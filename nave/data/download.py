"""Downloads that resume, are verified, and never leave a partial data set behind."""

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

_TIMEOUT = 15.0  # seconds without data
_CHUNK = 1 << 20


class DownloadError(OSError):
    """A download failed or could not be verified."""


@dataclass(frozen=True)
class Download:
    """A file to download, or one member of an archive.

    Args:
        checksum: of the file at ``url``, as ``md5:…`` or ``sha256:…``.
        member: a folder or file inside the tar or zip archive; None for the file itself.
    """

    url: str
    checksum: str
    target: Path
    member: str | None = None


def fetch(download: Download) -> None:
    """Downloads to ``download.target``, completely or not at all; does nothing if the target exists.

    If several processes ask for the same target, one downloads and the others wait. An interrupted download is
    continued by the next call.

    Raises:
        DownloadError: if the download fails or its checksum is wrong.
    """
    with _locked(download.target):
        if download.target.exists():
            return
        if download.member is None:
            _download(download.url, download.target, download.checksum)
            return
        archive = download.target.with_name(f".{download.target.name}.packed")  # hidden: cannot be a user's file
        if not archive.exists():
            _download(download.url, archive, download.checksum)
        _unpack(archive, download.member, download.target)
        archive.unlink()


@contextmanager
def _locked(target: Path) -> Iterator[None]:
    target.parent.mkdir(parents=True, exist_ok=True)
    lock = target.with_name(f".{target.name}.lock")
    with FileLock(lock):
        yield
    lock.unlink(missing_ok=True)


def _download(url: str, target: Path, checksum: str) -> None:
    """Downloads to ``<target>.part``, which the next attempt continues, and renames it when it is verified."""
    part = target.with_name(f"{target.name}.part")
    before = -1
    while before < _size(part):  # as long as each attempt makes progress
        before = _size(part)
        if _attempt(url, part):
            _verify(url, part, checksum)
            part.rename(target)
            return
    raise DownloadError(f"{url} stopped after {before} bytes; run the same command again to continue from there")


def _size(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0


def _attempt(url: str, part: Path) -> bool:
    """True if the file is now complete, False if the connection broke."""
    try:
        with _open(url, _size(part)) as response:
            return _append(response, part)
    except (HTTPException, ConnectionError, TimeoutError):
        return False
    except urllib.error.HTTPError as error:
        if error.code == 416:  # range not satisfiable: the part is the whole file
            return True
        raise DownloadError(f"{url}: the server answers {error.code} {error.reason}") from error
    except urllib.error.URLError as error:
        raise DownloadError(f"{url} cannot be reached: {error.reason}") from error


def _open(url: str, start: int) -> HTTPResponse:
    request = urllib.request.Request(url, headers={"Range": f"bytes={start}-"} if start else {})
    response: HTTPResponse = urllib.request.urlopen(request, timeout=_TIMEOUT)
    return response


def _append(response: HTTPResponse, part: Path) -> bool:
    resumed = response.status == 206  # a server without ranges answers 200 and sends the whole file
    start = _size(part) if resumed else 0
    length = response.headers["Content-Length"]
    total = None if length is None else start + int(length)
    with part.open("ab" if resumed else "wb") as file, _progress(part.stem, start, total) as advance:
        while chunk := response.read(_CHUNK):
            file.write(chunk)
            advance(len(chunk))
    return total is None or _size(part) >= total


def _verify(url: str, part: Path, checksum: str) -> None:
    algorithm, _, expected = checksum.partition(":")
    with part.open("rb") as file:
        got = hashlib.file_digest(file, algorithm).hexdigest()
    if got != expected:
        part.unlink()
        raise DownloadError(f"{url}: {algorithm} is {got}, not {expected}; the download was deleted, try again")


def _unpack(archive: Path, member: str, target: Path) -> None:
    folder = target.with_name(f".{target.name}.unpacking")
    shutil.rmtree(folder, ignore_errors=True)  # left by a process that was killed
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as zipped:
                zipped.extractall(folder)
        else:
            with tarfile.open(archive) as tar:
                # exists from Python 3.11.4 on; before, only the checksum protects against a malicious archive
                tar.extraction_filter = getattr(tarfile, "data_filter", None)
                tar.extractall(folder)
        (folder / member).rename(target)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _progress(name: str, start: int, total: int | None) -> Iterator[Callable[[int], None]]:
    console = Console(stderr=True)
    columns = ("{task.description}", BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task(name, total=total, completed=start)
        yield lambda count: progress.advance(task, count)
