"""Folders of image files: without ground truth, or with one sub-folder per class (ImageNet's layout); file names."""

import hashlib
import os
import shlex
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath
from zipfile import is_zipfile

from PIL import Image

from nave.data.interface import MalformedDataError, MissingDatasetError, missing
from nave.data.reading import image_size, open_image

# HEIC is listed although Pillow alone cannot read it: such files are counted as unreadable, not silently skipped.
SUFFIXES = (
    *(".avif", ".bmp", ".gif", ".heic", ".heif", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg", ".pbm", ".pgm"),
    *(".png", ".pnm", ".ppm", ".tga", ".tif", ".tiff", ".webp"),
)
OTHER_SUFFIXES = (
    *(".arw", ".cr2", ".cr3", ".dcm", ".dng", ".exr", ".hdr", ".ico", ".jxl", ".nef", ".orf", ".psd", ".raw"),
    *(".rw2", ".svg"),
)
IMAGE, FOLDER = "image", "folder"


class ImageFiles:
    """Images in files of their own, which a data set gives with their ids."""

    _paths: Sequence[Path]
    _ids: Sequence[str]
    _upright = True  # the EXIF orientation counts

    def __len__(self) -> int:
        return len(self._ids)

    def image_id(self, index: int) -> str:
        """The file's name or path without its suffix, such as ``trip/beach``."""
        return self._ids[index]

    def image(self, index: int) -> Image.Image:
        """The image; raises UnreadableImageError, also for a text file with the suffix of an image."""
        return open_image(self._paths[index], self._ids[index], self._upright)

    def size(self, index: int) -> tuple[int, int]:
        """(height, width) from the header; raises UnreadableImageError."""
        return image_size(self._paths[index], self._ids[index], self._upright)

    def files(self, index: int) -> list[Path]:
        """The image."""
        return [self._paths[index]]


class Folder(ImageFiles):
    """Every image file under ``root``, at any depth and through links to folders, sorted by path.

    Hidden files and folders are passed over and counted, as are broken links, folders that cannot be read, links that
    lead back to a folder around them, and formats that Pillow does not know. The image id is the path relative to
    ``root`` without its suffix; files that differ only in the suffix keep it. ``longer_side`` is for the run to take
    over.

    Raises:
        MissingDatasetError: if ``root`` is None, does not exist, is another file or contains no images.
    """

    name = "folder"

    def __init__(self, root: str | Path | None, longer_side: int | None = None) -> None:
        place, self.longer_side = existing(root), longer_side
        self._root, single = (place.parent, [Path(place.name)]) if place.is_file() else (place, None)
        files, self.passed_over = (single, Counter[str]()) if single else _scan(self._root)
        if not files:
            found = f"; passed over: {dict(self.passed_over)}" if self.passed_over else ""
            text = f"no images under {self._root.absolute()}, looked for {' '.join(SUFFIXES)}{found}"
            raise MissingDatasetError(text)
        self._paths = [self._root / file for file in files]
        self._ids = unique_ids(_legible([file.as_posix() for file in files]))

    def truth(self, index: int) -> None:
        """None: folders have no ground truth."""


def existing(root: str | Path | None) -> Path:
    """The folder or the image file that ``root`` names; raises MissingDatasetError."""
    if root is None:
        raise MissingDatasetError("no image folder given; name one: data.root=photos/")
    folder = Path(root).expanduser()
    if folder.is_dir() or (folder.is_file() and folder.name.lower().endswith(SUFFIXES)):
        return folder
    if folder.is_file():
        raise MissingDatasetError(_no_folder(folder))
    raise missing("image folder", folder, "  any image files, in sub-folders too", "data.root=photos/ names it")


def _no_folder(file: Path) -> str:
    """What a file is that was given in the place of a folder, and the cure."""
    if is_zipfile(file):
        target = shlex.quote(str(file.with_suffix("")))
        unpack = f"python -m zipfile -e {shlex.quote(str(file))} {target}"
        return f"data.root={file} is a ZIP archive: unpack it ({unpack}), then data.root={target}"
    return f"data.root={file} is no image that is known by its suffix ({' '.join(SUFFIXES)}), and no folder: name one"


def _scan(root: Path) -> tuple[list[Path], Counter[str]]:
    """The image files under ``root``, through links to folders too, and what was passed over, by reason."""
    files: list[Path] = []
    passed_over: Counter[str] = Counter()
    waiting: list[tuple[Path, frozenset[tuple[int, int]]]] = [(root, frozenset())]
    while waiting:
        folder, above = waiting.pop()
        try:
            status = folder.stat()
            entries = [] if (status.st_dev, status.st_ino) in above else list(os.scandir(folder))
        except OSError:
            passed_over["folders that cannot be read"] += 1
            continue
        passed_over["links to a folder around them"] += (status.st_dev, status.st_ino) in above
        for entry in entries:
            kind = _kind(entry)
            if kind is IMAGE:
                files.append(Path(entry.path).relative_to(root))
            elif kind is FOLDER:
                waiting.append((Path(entry.path), above | {(status.st_dev, status.st_ino)}))
            elif kind:
                passed_over[kind] += 1
    return sorted(files), +passed_over


def _kind(entry: "os.DirEntry[str]") -> str | None:
    """IMAGE, FOLDER, the reason why the entry is passed over, or None for what has nothing to do with images."""
    name = entry.name.lower()
    try:
        if entry.is_dir():
            return "hidden folders" if name.startswith(".") else FOLDER
        if entry.is_symlink() and not entry.is_file():
            return "broken links"
    except OSError:  # a link to itself
        return "broken links"
    if name.endswith(SUFFIXES):
        return "hidden images" if name.startswith(".") else IMAGE if entry.is_file() else "neither files nor folders"
    return "images of other formats" if name.endswith(OTHER_SUFFIXES) else None


def _legible(names: Sequence[str]) -> list[str]:
    """Names in valid UTF-8; bytes that are none as ``%E9``, with a hash where another file has that very name."""
    shown = ["".join(f"%{ord(c) - 0xDC00:02X}" if "\udc80" <= c <= "\udcff" else c for c in name) for name in names]
    count = Counter(shown)
    return [
        new if new == old or count[new] == 1 else _hashed(PurePosixPath(new), old)
        for old, new in zip(names, shown, strict=True)
    ]


def _hashed(path: PurePosixPath, name: str) -> str:
    return path.with_stem(f"{path.stem}-{hashlib.sha256(os.fsencode(name)).hexdigest()[:8]}").as_posix()


class ImageFolder(Folder):
    """The images under ``<root>/<split>/<class>/`` at any depth, or ``<root>/<class>/`` if ``split`` is None.

    Raises:
        MissingDatasetError: if the folder is missing, is empty or has images outside of class folders.
    """

    exclusive = True

    def __init__(self, root: str | Path | None, split: str | None, name: str) -> None:
        self.name = name
        super().__init__(root if root is None or split is None else Path(root) / split)
        if loose := [image_id for image_id in self._ids if "/" not in image_id]:
            raise MissingDatasetError(
                f"{self._root.absolute()}: {len(loose)} images are in no class folder ({', '.join(loose[:3])} …). "
                f"Expected layout:\n  {self._root}/<class>/*.jpg\n(data=folder takes images without classes)"
            )

    def labels(self, index: int) -> tuple[str, ...]:
        """The class: the name of the folder directly under the root."""
        return (PurePosixPath(self._ids[index]).parts[0],)


def unique_ids(names: Sequence[str]) -> list[str]:
    """Image ids: relative posix paths without suffix; paths that differ only in the suffix keep it."""
    stems = [PurePosixPath(name).with_suffix("").as_posix() for name in names]
    count = Counter(stems)
    ids = [stem if count[stem] == 1 else name for stem, name in zip(stems, names, strict=True)]
    return ids if len(set(ids)) == len(ids) else list(names)


def leads_out(name: str) -> bool:
    """Whether a path from a list leads out of its folder, or is none: results are written under the same path."""
    path = PurePosixPath(name)
    return path.is_absolute() or ".." in path.parts or not path.name or "\0" in name


def require_files(folder: Path, names: Sequence[str], listed_in: Path) -> None:
    """Checks that every file of the list ``listed_in`` exists.

    Raises:
        MalformedDataError: if some are missing or lead out of the folder; names the first five.
    """
    if outside := [name for name in names if leads_out(name)]:
        raise MalformedDataError(f"{listed_in}: {outside[0]!r} leads out of its folder {folder}")
    if absent := absent_files(folder, names):
        shown = ", ".join(name if name.isprintable() else repr(name) for name in absent[:5])
        first = shown + (" …" if len(absent) > 5 else "")
        raise MalformedDataError(f"{listed_in}: {len(absent)} of {len(names)} files are not in {folder}: {first}")


def absent_files(folder: Path, names: Iterable[str]) -> list[str]:
    """The files of a list that are not in the folder."""
    listings: dict[Path, frozenset[str]] = {}  # each folder is read once, which is faster than a look at every file
    absent = []
    for name in names:
        place = (folder / name).parent
        if place not in listings:
            listings[place] = frozenset(path.name for path in place.glob("*"))
        if PurePosixPath(name).name not in listings[place]:
            absent.append(name)
    return absent
