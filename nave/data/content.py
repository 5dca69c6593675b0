"""What the images of a data set were read from, so that a later run notices what has changed."""

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypedDict

import numpy as np
from PIL import Image

from nave.data.interface import Dataset, Entry, Masked, UnreadableImageError, labels_of

SETTLED = 3.0  # seconds after a change in which another one may leave the time as it is


class FileContent(TypedDict):
    """A file as it was read; ``changed``: nanoseconds of its last change, 0 if that was too recent to tell others."""

    size: int
    changed: int
    sha256: str


class Content(TypedDict, total=False):
    """What one image was read from; of an image that could not be read, its files alone.

    Attributes:
        files: its own files, None for one that does not exist.
        pixels: hash of the pixels of an image without files.
        masks: hash of the masks of such an image.
        truth: hash of ground truth and labels, which may lie in a table of all images.
        remarks: what was decided while the image was read; it follows from the files.
    """

    files: list[FileContent | None]
    pixels: str
    masks: str
    truth: str
    remarks: list[str]


def files_of(dataset: Dataset, index: int) -> Content:
    """The files of an image as they are now; to be asked before they are read, so that a later change is noticed."""
    return Content(files=[_file(path) for path in _files(dataset, index)])


def _files(dataset: Dataset, index: int) -> Sequence[Path]:
    files: Callable[[int], Sequence[Path]] | None = getattr(dataset, "files", None)  # as in FromFiles
    return files(index) if files else ()


def meaning_of(dataset: Dataset, index: int, entry: Entry | None = None) -> Content:
    """The rest of the content: the hash of the ground truth, and of pixels and masks if they come from no file.

    ``entry`` is what is known of the image, if it has been read already.
    """
    truth, labels = entry[1:] if entry else (dataset.truth(index), labels_of(dataset, index))
    objects = None if truth is None else [truth.boxes.tolist(), truth.classes, truth.hard]
    meaning = Content(truth=hashlib.sha256(json.dumps([objects, labels]).encode()).hexdigest())
    if not _files(dataset, index):
        meaning["pixels"] = _pixels(entry.image if entry else dataset.image(index))
        if isinstance(dataset, Masked):
            meaning["masks"] = _masks(dataset, index)
    return meaning


def is_same(content: Content, dataset: Dataset, index: int) -> bool:
    """Whether the image is what it was: by size and time of its files, by their hash where these differ."""
    paths = _files(dataset, index)
    before = content.get("files", [])
    if len(paths) != len(before) or not all(map(_is_same_file, before, paths)):
        return False
    if "truth" not in content:  # it could not be read, and still cannot
        return bool(paths)
    with suppress(UnreadableImageError):
        meaning = meaning_of(dataset, index)
        return all(content.get(key) == meaning.get(key) for key in ("truth", "pixels", "masks"))
    return False


def _file(path: Path) -> FileContent | None:
    try:
        changed, now = _changed(path), time.time()
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            size = file.tell()
    except OSError:
        return None
    settled = changed if now - changed / 1e9 >= SETTLED else 0
    return FileContent(size=size, changed=settled, sha256=digest)


def _changed(path: Path) -> int:
    status = path.stat()
    return max(status.st_mtime_ns, status.st_ctime_ns)


def _is_same_file(before: FileContent | None, path: Path) -> bool:
    if before is None or not path.is_file():
        return before is None and not path.is_file()
    if path.stat().st_size != before["size"]:
        return False
    if _changed(path) == before["changed"]:
        return True
    now = _file(path)
    return now is not None and now["sha256"] == before["sha256"]


def _pixels(image: Image.Image) -> str:
    digest = hashlib.sha256(f"{image.size}".encode())
    digest.update(image.tobytes())
    return digest.hexdigest()


def _masks(dataset: Masked, index: int) -> str:
    digest = hashlib.sha256()
    for mask in (dataset.mask(index), dataset.object_mask(index)):
        digest.update(b"" if mask is None else np.ascontiguousarray(mask).tobytes())
    return digest.hexdigest()
