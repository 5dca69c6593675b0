"""STL-10 in its binary layout."""

import logging
from functools import cached_property
from pathlib import Path

import numpy as np
from PIL import Image

from nave.data.download import Download, fetch
from nave.data.interface import MalformedDataError, missing

_log = logging.getLogger(__name__)

CLASSES = ("airplane", "bird", "car", "cat", "deer", "dog", "horse", "monkey", "ship", "truck")  # 1 to 10

_SIDE = 96
_BYTES = 3 * _SIDE * _SIDE
_OFFICIAL = {"train": 5_000, "test": 8_000, "unlabeled": 100_000}
_URL = "http://ai.stanford.edu/~acoates/stl10/stl10_binary.tar.gz"
_MD5 = "md5:91f7769df0f17e558f3565bffb0c7dfb"  # the one torchvision checks

_LAYOUT = """\
  {root}/stl10_binary/{split}_X.bin
  {root}/stl10_binary/{split}_y.bin (train and test)
  (root may also be stl10_binary itself)"""
_CURE = (
    f"data.download=true fetches it (2.6 GB); or unpack {_URL.rpartition('/')[2]} and name the folder that "
    "it was unpacked in by data.root=FOLDER or NAVE_DATA=FOLDER"
)


class STL10:
    """96 x 96 photographs with one class each in train and test, none in unlabeled; no boxes.

    A file with fewer images than the official one is accepted as a sample, with a logged warning.

    Args:
        root: the folder that contains ``stl10_binary``, or that folder itself.
        split: train, test or unlabeled.

    Raises:
        MissingDatasetError: if the split is missing and ``download`` is False.
        MalformedDataError: for truncated files.
        ValueError: for another split.
    """

    name = "stl10"
    exclusive = True

    def __init__(self, root: str | Path | None, split: str, *, download: bool) -> None:
        if split not in _OFFICIAL:
            raise ValueError(f"split={split}: choose from {', '.join(_OFFICIAL)}")
        self._root = None if root is None else Path(root).expanduser()
        self._split, self._download = split, download
        if not download:
            self.prepare()

    def prepare(self) -> None:
        """Downloads STL-10 if requested; raises MissingDatasetError if the split is missing."""
        if self._download and self._root is not None and not _folder(self._root).is_dir():
            fetch(Download(_URL, _MD5, _folder(self._root), "stl10_binary"))
        _ = self._count, self._classes

    def __len__(self) -> int:
        return self._count

    def image_id(self, index: int) -> str:
        """Split and position in the file, such as ``unlabeled_000245``."""
        return f"{self._split}_{range(len(self))[index]:06d}"

    def image(self, index: int) -> Image.Image:
        """The photograph; the file holds raw pixels, so it is always readable."""
        start = range(len(self))[index] * _BYTES
        pixels = np.fromfile(self._file("X"), np.uint8, _BYTES, offset=start)
        return Image.fromarray(pixels.reshape(3, _SIDE, _SIDE).transpose(2, 1, 0).copy())  # column-major

    def size(self, index: int) -> tuple[int, int]:  # noqa: ARG002 - all images have one size
        """(96, 96)."""
        return _SIDE, _SIDE

    def truth(self, index: int) -> None:
        """None: STL-10 has no boxes."""

    def labels(self, index: int) -> tuple[str, ...] | None:
        """The class of the image; None in the unlabeled split."""
        return None if self._classes is None else (CLASSES[self._classes[index] - 1],)

    def _file(self, part: str) -> Path:
        file = _folder(self._root or Path("ROOT")) / f"{self._split}_{part}.bin"
        if not file.is_file():
            layout = _LAYOUT.format(root=self._root or "ROOT", split=self._split)
            raise missing(f"STL-10, {file.name}", self._root, layout, _CURE)
        return file

    @cached_property
    def _count(self) -> int:
        file = self._file("X")
        count, rest = divmod(file.stat().st_size, _BYTES)
        if rest or not count:
            raise MalformedDataError(f"{file}: {file.stat().st_size} bytes are no whole number of {_BYTES}-byte images")
        if count != _OFFICIAL[self._split]:
            _log.warning("%s is a sample: %d images, %d in STL-10", file, count, _OFFICIAL[self._split])
        return count

    @cached_property
    def _classes(self) -> list[int] | None:
        if self._split == "unlabeled":
            return None
        file = self._file("y")
        classes = list(file.read_bytes())
        if len(classes) != len(self):
            raise MalformedDataError(f"{file}: {len(classes)} classes for {len(self)} images")
        if wrong := [index for index, number in enumerate(classes) if not 1 <= number <= len(CLASSES)]:
            raise MalformedDataError(f"{file}: byte {wrong[0]} is {classes[wrong[0]]}, classes are 1 to {len(CLASSES)}")
        return classes


def _folder(root: Path) -> Path:
    return root if root.name == "stl10_binary" else root / "stl10_binary"
