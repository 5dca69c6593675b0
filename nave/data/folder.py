"""Folders of image files: without ground truth, or with one sub-folder per class (ImageNet's layout)."""

import os
from pathlib import Path, PurePosixPath

from PIL import Image

from nave.data.interface import MissingDatasetError, missing
from nave.data.reading import image_size, open_image, unique_ids

# HEIC is listed although Pillow alone cannot read it: such files are counted as unreadable, not silently skipped.
SUFFIXES = (
    *(".avif", ".bmp", ".gif", ".heic", ".heif", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg", ".pbm", ".pgm"),
    *(".png", ".pnm", ".ppm", ".tga", ".tif", ".tiff", ".webp"),
)


class Folder:
    """Every image file under ``root``, at any depth, sorted by path; hidden files and folders are skipped.

    The image id is the path relative to ``root`` without its suffix; files that differ only in the suffix keep it.

    Raises:
        MissingDatasetError: if ``root`` is None, does not exist or contains no images.
    """

    name = "folder"

    def __init__(self, root: str | Path | None) -> None:
        self._root = _existing(root)
        self._files = _image_files(self._root)
        if not self._files:
            raise MissingDatasetError(f"no images under {self._root.absolute()}, looked for {' '.join(SUFFIXES)}")
        self._ids = unique_ids([file.as_posix() for file in self._files])

    def __len__(self) -> int:
        return len(self._files)

    def image_id(self, index: int) -> str:
        """The path relative to the root, such as ``trip/beach``."""
        return self._ids[index]

    def image(self, index: int) -> Image.Image:
        """The image, upright; raises UnreadableImageError, also for a text file with the suffix of an image."""
        return open_image(self._root / self._files[index], self._ids[index])

    def size(self, index: int) -> tuple[int, int]:
        """(height, width) from the header; raises UnreadableImageError."""
        return image_size(self._root / self._files[index], self._ids[index])

    def truth(self, index: int) -> None:
        """None: folders have no ground truth."""


def _existing(root: str | Path | None) -> Path:
    if root is None:
        raise MissingDatasetError("no image folder given; name one: data.root=photos/")
    folder = Path(root).expanduser()
    if folder.is_dir():
        return folder
    raise missing("image folder", folder, "  any image files, in sub-folders too", "data.root=photos/ names it")


def _image_files(root: Path) -> list[Path]:
    files: list[Path] = []
    for folder, folders, names in os.walk(root):
        folders[:] = [name for name in folders if not name.startswith(".")]
        images = [n for n in names if not n.startswith(".") and n.lower().endswith(SUFFIXES)]
        files += [Path(folder, name).relative_to(root) for name in images]
    return sorted(files)


class ImageFolder(Folder):
    """The images under ``<root>/<split>/<class>/`` at any depth, or ``<root>/<class>/`` if ``split`` is None.

    Args:
        root: folder of the data set.
        split: sub-folder of the root, or None.
        name: name of the data set in records.

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
