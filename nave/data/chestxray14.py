"""NIH ChestX-ray14: radiographs with findings, and boxes on a few of them (Wang et al., CVPR 2017)."""

import logging
import math
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Int

from nave.data.folder import ImageFiles
from nave.data.interface import GroundTruth, MalformedDataError, MissingDatasetError, missing
from nave.data.reading import Box, checked, fit, read_list, read_rows

_log = logging.getLogger(__name__)

FINDINGS = (
    *("Atelectasis", "Cardiomegaly", "Effusion", "Infiltration", "Mass", "Nodule", "Pneumonia", "Pneumothorax"),
    *("Consolidation", "Edema", "Emphysema", "Fibrosis", "Pleural_Thickening", "Hernia"),
)
_SPELLINGS = {"Infiltrate": "Infiltration"}  # of the box list

_TABLES = ("Data_Entry_2017_v2020.csv", "Data_Entry_2017.csv")
_BOXES = "BBox_List_2017.csv"
_SPLITS = {"train_val": "train_val_list.txt", "test": "test_list.txt", "boxes": _BOXES}
_LAYOUT = """\
  {root}/chestxray14/Data_Entry_2017.csv (or Data_Entry_2017_v2020.csv)
  {root}/chestxray14/BBox_List_2017.csv, train_val_list.txt, test_list.txt
  {root}/chestxray14/images/*.png, or images_001/images/*.png to images_012/images/*.png
  (root may also be chestxray14 itself)"""
_CURE = (
    "download images and tables from nihcc.app.box.com/v/ChestXray-NIHCC (by hand: NIH publishes no checksums) "
    "and name their folder by data.root=FOLDER or NAVE_DATA=FOLDER"
)

RELEASE = (1024, 1024)  # (height, width) of NIH's images, in whose pixels the boxes are

LabelledBox = tuple[Box, str, str]  # xyxy, finding, "file, line n"


def read_findings(file: Path) -> dict[str, tuple[str, ...]]:
    """The findings of each image of a ``Data_Entry`` table, in its order; empty for "No Finding".

    Raises:
        MalformedDataError: for missing columns, repeated images and unknown findings.
    """
    findings: dict[str, tuple[str, ...]] = {}
    (image, label), rows = _table(file, "Image Index", "Finding Labels")
    for where, row in rows:
        if row[image] in findings:
            raise MalformedDataError(f"{where}: image {row[image]!r} is repeated")
        names = [name for name in row[label].split("|") if name != "No Finding"]
        findings[row[image]] = tuple(_finding(name, where) for name in names)
    return findings


def read_boxes(file: Path) -> dict[str, list[LabelledBox]]:
    """The boxes of each image of a ``BBox_List`` table, in xyxy, with findings spelt as in ``Data_Entry``.

    The header ``Bbox [x,y,w,h],,,`` comes as one cell or four; the box is in the four cells from ``Bbox`` on.

    Raises:
        MalformedDataError: for missing columns and cells that are not numbers.
    """
    boxes: dict[str, list[LabelledBox]] = {}
    (image, label, first), rows = _table(file, "Image Index", "Finding Label", "Bbox")
    for where, row in rows:
        box = _box(row[first : first + 4], where)
        boxes.setdefault(row[image], []).append((box, _finding(row[label], where), where))
    return boxes


def _table(file: Path, *columns: str) -> tuple[list[int], list[tuple[str, list[str]]]]:
    """Positions of the columns whose headers begin with ``columns``; the non-empty rows with their file and line."""
    lines = [[cell.strip() for cell in line] for line in read_rows(file)]
    header = lines[0] if lines else []
    positions = [next((i for i, cell in enumerate(header) if cell.startswith(column)), -1) for column in columns]
    if absent := [column for column, position in zip(columns, positions, strict=True) if position < 0]:
        text = f"no column {', '.join(absent)}; columns: {', '.join(header) or 'none'}"
        raise MalformedDataError(f"{file}, line 1: {text}")
    rows = [(f"{file}, line {number}", line) for number, line in enumerate(lines[1:], 2) if any(line)]
    for where, line in rows:
        if len(line) <= max(positions):
            raise MalformedDataError(f"{where}: {len(line)} cells, fewer than the header has")
    return positions, rows


def _finding(name: str, where: str) -> str:
    name = _SPELLINGS.get(name, name)
    if name not in FINDINGS:
        raise MalformedDataError(f"{where}: finding {name!r} is none of {', '.join(FINDINGS)}")
    return name


def _box(cells: list[str], where: str) -> Box:
    try:
        x, y, width, height = map(float, cells)
    except ValueError as error:
        raise MalformedDataError(f"{where}: box {cells} is not x, y, width, height") from error
    if not all(map(math.isfinite, (x, y, x + width, y + height))):
        raise MalformedDataError(f"{where}: box {cells} is not finite")
    return x, y, x + width, y + height


class ChestXray14(ImageFiles):
    """The images of the ``Data_Entry`` table that exist, in its order.

    If images are missing, the rest is accepted as a sample, with a logged warning.

    Args:
        root: the folder that contains ``chestxray14``, or that folder itself.
        split: all, train_val or test (the official lists), or boxes (the images of the box list).

    Raises:
        MissingDatasetError: if the data set, the split's list or all of its images are missing.
        MalformedDataError: for invalid tables.
        ValueError: for another split.
    """

    name = "chestxray14"
    _upright = False
    exclusive = False

    def __init__(self, root: str | Path | None, split: str) -> None:
        if split != "all" and split not in _SPLITS:
            raise ValueError(f"split={split}: choose from all, {', '.join(_SPLITS)}")
        self._root = None if root is None else Path(root).expanduser()
        self._split = split
        self._folder = _find(self._root)
        tables = (self._folder / name for name in _TABLES)
        self._findings = read_findings(next(table for table in tables if table.is_file()))
        places = [self._folder / "images", *sorted(self._folder.glob("images_*/images"))]
        self._files = {path.name: path for place in places if place.is_dir() for path in place.iterdir()}
        self._names = self._present()
        self._paths = [self._files[name] for name in self._names]
        self._ids = [Path(name).stem for name in self._names]  # patient and follow-up, such as 00001369_000

    def truth(self, index: int) -> GroundTruth | None:
        """The boxes of the box list, scaled if the image is no longer 1024 x 1024.

        None for an image that is not in it, since NIH annotated only 880 images.

        Raises:
            UnreadableImageError: if the image cannot be read or is no square.
            MalformedDataError: for boxes outside of the image.
        """
        entries = self._boxes.get(self._names[index])
        if entries is None:
            return None
        boxes, findings, where = zip(*entries, strict=True)
        image = fit(self._paths[index], self._ids[index], RELEASE, f"{_BOXES}'s pixels")
        return GroundTruth(checked(image.boxes(boxes), image.size, where), findings, (False,) * len(boxes))

    def labels(self, index: int) -> tuple[str, ...]:
        """The findings in the order of the table; empty for "No Finding"."""
        return self._findings[self._names[index]]

    def targets(self, index: int) -> Int[np.ndarray, "14"]:
        """1 for each of the FINDINGS of the image, else 0."""
        return np.array([int(finding in self.labels(index)) for finding in FINDINGS])

    def _present(self) -> list[str]:
        listed = self._listed()
        names = [name for name in self._findings if name in listed and name in self._files]
        if not names:
            raise MissingDatasetError(f"split={self._split}: none of its {len(listed)} images is in {self._folder}")
        if len(names) < len(listed):
            text = "%s is a sample: %d of the %d images of split %s exist"
            _log.warning(text, self._folder, len(names), len(listed), self._split)
        return names

    @property
    def passed_over(self) -> dict[str, int]:
        """Images of the split without a file, files and boxes of images that the table does not list."""
        counts = {
            "images of the split without a file": len(self._listed() - set(self._names)),
            "files that the table does not list": len(self._files.keys() - self._findings.keys()),
            "boxes of images that the table does not list": sum(
                len(boxes) for name, boxes in self._boxes.items() if name not in self._findings
            ),
        }
        return {reason: count for reason, count in counts.items() if count}

    def _listed(self) -> frozenset[str]:
        if self._split == "all":
            return frozenset(self._findings)
        file = self._folder / _SPLITS[self._split]
        if not file.is_file():
            raise MissingDatasetError(f"split={self._split}: no {file}, which comes with the data set")
        return frozenset(self._boxes if self._split == "boxes" else read_list(file))

    @cached_property
    def _boxes(self) -> dict[str, list[LabelledBox]]:
        file = self._folder / _BOXES
        boxes = read_boxes(file) if file.is_file() else {}
        if boxes and not boxes.keys() & self._findings.keys():
            names = f"{next(iter(boxes))!r} here, {next(iter(self._findings), None)!r} there"
            raise MalformedDataError(f"{file}: none of its images is in the table of findings: {names}")
        return boxes


def _find(root: Path | None) -> Path:
    for folder in [] if root is None else [root / "chestxray14", root]:
        if any((folder / table).is_file() for table in _TABLES):
            return folder
    raise missing("ChestX-ray14", root, _LAYOUT.format(root=root or "ROOT"), _CURE)
