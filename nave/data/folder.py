"""Any folder of image files, nothing known about what they show."""

import os
from pathlib import Path

from PIL import Image

from nave.data.decode import image_size, open_image
from nave.data.errors import MissingDataset, missing
from nave.data.ids import unique_ids

# HEIC is here although Pillow alone cannot read it: such files are counted as unreadable, not passed over.
SUFFIXES = (
    *(".avif", ".bmp", ".gif", ".heic", ".heif", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg", ".pbm", ".pgm"),
    *(".png", ".pnm", ".ppm", ".tga", ".tif", ".tiff", ".webp"),
)


class Folder:
    """Every image file under `root`, at any depth, sorted by path; hidden files and folders are left out.

    The image id is the path under `root` without its suffix; files that differ in the suffix alone keep it.
    """

    name = "folder"

    def __init__(self, root: str | Path | None) -> None:
        self._root = _existing(root)
        self._files = _image_files(self._root)
        if not self._files:
            raise MissingDataset(f"no images under {self._root.absolute()}, looked for {' '.join(SUFFIXES)}")
        self._ids = unique_ids([file.as_posix() for file in self._files])

    def __len__(self) -> int:
        return len(self._files)

    def image_id(self, index: int) -> str:
        """The path under the root, "trip/beach"."""
        return self._ids[index]

    def image(self, index: int) -> Image.Image:
        """The right way up; raises UnreadableImage, also for a text file that calls itself an image."""
        return open_image(self._root / self._files[index], self._ids[index])

    def size(self, index: int) -> tuple[int, int]:
        """(height, width) from the header; raises UnreadableImage."""
        return image_size(self._root / self._files[index], self._ids[index])

    def truth(self, index: int) -> None:
        """Nothing is known."""


def _existing(root: str | Path | None) -> Path:
    if root is None:
        raise MissingDataset("no image folder given; name one: data.root=photos/")
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
