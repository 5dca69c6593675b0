"""Files that are whole or not there: written atomically, as text, JSON, CSV, images or bytes.

No other process, thread or machine writes to the same temporary file, and a file that shares its bytes with another
folder (a hard link) is replaced, not written to.
"""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO
from uuid import uuid4

import numpy as np
from jaxtyping import Float
from PIL import Image

from nave.strict_json import from_json, to_json

PART = ".part"  # suffix of files that are being written


def read_json(path: Path) -> Any:
    """Reads a JSON file; raises ValueError if the file is damaged or holds NaN, naming it and the line."""
    return from_json(path.read_bytes(), path)


def write_json(path: Path, content: Any, via: Path | None = None) -> None:
    """Writes indented JSON atomically, as :func:`write_chunks`."""
    write_chunks(path, [to_json(content, path, indent=2).encode(), b"\n"], via)


def write_whole(path: Path, text: str) -> None:
    """Writes a text file atomically; creates its folder."""
    write_bytes(path, text.encode())


def write_csv(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Writes a CSV file atomically; the keys of the first row are its columns."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]) if rows else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_whole(path, text.getvalue())


def write_bytes(path: Path, content: bytes, via: Path | None = None) -> None:
    """Writes a file atomically, as :func:`write_chunks`."""
    write_chunks(path, [content], via)


def create_bytes(path: Path, content: bytes) -> None:
    """Writes a file in place if there is none, and atomically if there is one.

    In place is faster by half; a torn file must not count, as long as nothing names it that is written afterwards.
    """
    try:
        file = path.open("xb")
    except (FileExistsError, FileNotFoundError):  # or its folder is missing
        write_bytes(path, content)
        return
    try:
        with file:
            file.write(content)
    except BaseException:  # such as a full disk
        path.unlink(missing_ok=True)
        raise


def write_image(image: Image.Image, path: Path, **options: Any) -> None:
    """Writes a PNG or a JPEG atomically; ``options`` are Pillow's."""
    write_bytes(path, encoded(image, "PNG" if path.suffix == ".png" else "JPEG", **options))


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    """The content of an image file; ``options`` are Pillow's."""
    content = io.BytesIO()
    image.save(content, kind, **options)
    return content.getvalue()


def npy(array: Float[np.ndarray, "K D"]) -> bytes:
    """The content of a NumPy file of float32."""
    content = io.BytesIO()
    np.save(content, array.astype(np.float32))
    return content.getvalue()


def write_chunks(path: Path, chunks: Iterable[bytes], via: Path | None = None) -> None:
    """Writes a file atomically, piece by piece; creates its folder.

    The temporary file lies beside it, or in the folder ``via``, which the process has claimed: who claims it next
    removes what a killed process leaves.
    """
    if via is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary_path(path if via is None else via / path.name)
    try:
        with _opened(temporary) as file:
            file.writelines(chunks)
        temporary.replace(path)
    except BaseException:  # such as a full disk
        temporary.unlink(missing_ok=True)
        raise


def _opened(path: Path) -> BinaryIO:
    """A new file; that its folder is missing is rarer than a look for it is cheap."""
    try:
        return path.open("wb")
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.open("wb")


def temporary_path(path: Path) -> Path:
    """A hidden path beside ``path`` that nobody else writes to."""
    return path.with_name(f".{uuid4().hex}{PART}")


def remove_temporary(folder: Path, deep: bool = True) -> None:
    """Removes the temporary files that killed processes have left in ``folder`` and, if ``deep``, anywhere below."""
    for path in (folder.rglob if deep else folder.glob)(f".*{PART}"):
        path.unlink(missing_ok=True)
