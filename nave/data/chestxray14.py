"""NIH ChestX-ray14: radiographs with findings, a few of them with boxes."""

import logging
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Int
from PIL import Image

from nave.data.boxes import checked
from nave.data.chestxray14_tables import FINDINGS, LabelledBox, read_boxes, read_findings
from nave.data.decode import image_size, open_image
from nave.data.errors import MissingDataset, missing
from nave.data.photograph import Truth
from nave.data.text import read_list

_log = logging.getLogger(__name__)

_TABLES = ("Data_Entry_2017_v2020.csv", "Data_Entry_2017.csv")
_BOXES = "BBox_List_2017.csv"
_SPLITS = {"train_val": "train_val_list.txt", "test": "test_list.txt", "boxes": _BOXES}
_LAYOUT = """\
  {root}/chestxray14/Data_Entry_2017.csv (or Data_Entry_2017_v2020.csv)
  {root}/chestxray14/BBox_List_2017.csv, train_val_list.txt, test_list.txt
  {root}/chestxray14/images/*.png, or images_001/images/*.png to images_012/images/*.png
  (root may also be chestxray14 itself)"""
_CURE = (
    "images and tables are at nihcc.app.box.com/v/ChestXray-NIHCC (not fetched for you: NIH publishes no "
    "checksums); name the folder that you put them in by data.root=FOLDER or NAVE_DATA=FOLDER"
)


class ChestXray14:
    """The images of Data_Entry that are there, in its order; fewer than listed make a sample, with a warning.

    `split`: all, train_val or test by the official lists, or boxes for the images of the box list. Raises
    MissingDataset, MalformedData for broken tables, ValueError for another split.
    """

    name = "chestxray14"
    exclusive = False

    def __init__(self, root: str | Path | None, split: str = "all") -> None:
        if split != "all" and split not in _SPLITS:
            raise ValueError(f"split={split}: choose from all, {', '.join(_SPLITS)}")
        self._root = None if root is None else Path(root).expanduser()
        self._split = split
        self._folder = _find(self._root)
        self._findings = read_findings(next(self._folder / t for t in _TABLES if (self._folder / t).is_file()))
        self._files = _image_files(self._folder)
        self._names = self._present()

    def __len__(self) -> int:
        return len(self._names)

    def image_id(self, index: int) -> str:
        """Patient and follow-up, "00001369_000"."""
        return Path(self._names[index]).stem

    def image(self, index: int) -> Image.Image:
        """Grey in three channels, also where the file is RGBA; raises UnreadableImage."""
        return open_image(self._files[self._names[index]], self.image_id(index), upright=False)

    def size(self, index: int) -> tuple[int, int]:
        """(height, width) from the header."""
        return image_size(self._files[self._names[index]], self.image_id(index), upright=False)

    def truth(self, index: int) -> Truth | None:
        """None without an entry in the box list, whatever the findings: NIH drew boxes on 880 images."""
        entries = self._boxes.get(self._names[index])
        if entries is None:
            return None
        boxes, findings, where = zip(*entries, strict=True)
        return Truth(checked(boxes, self.size(index), where), findings, (False,) * len(boxes))

    def labels(self, index: int) -> tuple[str, ...]:
        """The findings in the order of the table, empty for "No Finding"."""
        return self._findings[self._names[index]]

    def targets(self, index: int) -> Int[np.ndarray, "14"]:
        """1 for each of FINDINGS that the image shows, else 0."""
        return np.array([int(finding in self.labels(index)) for finding in FINDINGS])

    def _present(self) -> list[str]:
        listed = self._listed()
        names = [name for name in self._findings if name in listed and name in self._files]
        if not names:
            raise MissingDataset(f"split={self._split}: none of its {len(listed)} images is in {self._folder}")
        if len(names) < len(listed):
            text = "%s is a sample: %d of the %d images of split %s are there"
            _log.warning(text, self._folder, len(names), len(listed), self._split)
        return names

    def _listed(self) -> frozenset[str]:
        if self._split == "all":
            return frozenset(self._findings)
        file = self._folder / _SPLITS[self._split]
        if not file.is_file():
            raise MissingDataset(f"split={self._split}: no {file}, which comes with the data set")
        return frozenset(self._boxes if self._split == "boxes" else read_list(file))

    @cached_property
    def _boxes(self) -> dict[str, list[LabelledBox]]:
        file = self._folder / _BOXES
        return read_boxes(file) if file.is_file() else {}


def _find(root: Path | None) -> Path:
    for folder in [] if root is None else [root / "chestxray14", root]:
        if any((folder / table).is_file() for table in _TABLES):
            return folder
    raise missing("ChestX-ray14", root, _LAYOUT.format(root=root or "ROOT"), _CURE)


def _image_files(folder: Path) -> dict[str, Path]:
    places = [folder / "images", *sorted(folder.glob("images_*/images"))]
    return {path.name: path for place in places if place.is_dir() for path in place.iterdir()}
