"""PASCAL VOC 2007 and 2012 in their official layout."""

from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Int
from PIL import Image

from nave.data.decode import image_size, open_image
from nave.data.download import Download, fetch
from nave.data.errors import MissingDataset, missing
from nave.data.ids import require_files
from nave.data.mask import read_mask
from nave.data.photograph import Truth
from nave.data.text import read_list
from nave.data.voc_annotation import read_annotation

CLASSES = (
    *("aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable"),
    *("dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor"),
)  # class 1 to 20 of the masks; 0 is background, 255 void

_HOST = "https://thor.robots.ox.ac.uk/pascal/VOC"
_ARCHIVES = {  # train and validation; the md5 sums are those that torchvision checks
    2007: (f"{_HOST}/voc2007/VOCtrainval_06-Nov-2007.tar", "md5:c52e279531787c972589f7e41ab4ae64"),
    2012: (f"{_HOST}/voc2012/VOCtrainval_11-May-2012.tar", "md5:6cd6e144f989b92b3379bac3b3de84fd"),
}

_LAYOUT = """\
  {root}/VOCdevkit/VOC{year}/JPEGImages/*.jpg
  {root}/VOCdevkit/VOC{year}/Annotations/*.xml
  {root}/VOCdevkit/VOC{year}/ImageSets/Main/trainval.txt
  (root may also be VOCdevkit or VOC{year} itself)"""


class VOC:
    """The images of one list `ImageSets/<image_sets>/<split>.txt`, with boxes as LOST reads them.

    `xmin, ymin` lose 1, `xmax, ymax` stay, which makes the boxes half-open; difficult or truncated ones are
    marked hard. `download`: `prepare` fetches train and validation where they are missing. Raises
    MissingDataset, and MalformedData for a list that repeats images or names some that are not there.
    """

    exclusive = False

    def __init__(
        self,
        root: str | Path | None,
        year: int,
        split: str = "trainval",
        *,
        image_sets: str = "Main",
        download: bool = False,
    ) -> None:
        if year not in _ARCHIVES:
            raise ValueError(f"year={year}: choose from {', '.join(map(str, _ARCHIVES))}")
        self.name = f"voc{year % 100:02d}"
        self._root = None if root is None else Path(root).expanduser()
        self._year, self._split, self._image_sets, self._download = year, split, image_sets, download
        if not download:
            self.prepare()

    def prepare(self) -> None:
        """Raises MissingDataset where the data set is missing, or fetches it first if `download` is set."""
        if self._download and self._root is not None and _find(self._root, self._year) is None:
            devkit = self._root if self._root.name == "VOCdevkit" else self._root / "VOCdevkit"
            name = f"VOC{self._year}"
            fetch(Download(*_ARCHIVES[self._year], devkit / name, f"VOCdevkit/{name}"))
        _ = self._ids

    def __len__(self) -> int:
        return len(self._ids)

    def image_id(self, index: int) -> str:
        """The file's stem, "2008_000676"."""
        return self._ids[index]

    def image(self, index: int) -> Image.Image:
        """As stored, since the boxes were drawn so; raises UnreadableImage."""
        return open_image(self._image_file(index), self._ids[index], upright=False)

    def size(self, index: int) -> tuple[int, int]:
        """(height, width) from the header of the image."""
        return image_size(self._image_file(index), self._ids[index], upright=False)

    def truth(self, index: int) -> Truth:
        """Raises MalformedData for a broken annotation file, UnreadableImage without an image."""
        return read_annotation(self._folder / "Annotations" / f"{self._ids[index]}.xml", self.size(index))

    def labels(self, index: int) -> tuple[str, ...]:
        """The classes with at least one box in the image, sorted."""
        return tuple(sorted(set(self.truth(index).classes)))

    def mask(self, index: int) -> Int[np.ndarray, "H W"] | None:
        """Class of every pixel: 0 background, 1 to 20 as CLASSES, 255 void; None where there is no mask.

        Raises MalformedData for a file that cannot be read or has another size than its image.
        """
        return self._mask("SegmentationClass", index)

    def object_mask(self, index: int) -> Int[np.ndarray, "H W"] | None:
        """Object of every pixel: 0 background, then 1, 2 … in each image, 255 void; otherwise as `mask`."""
        return self._mask("SegmentationObject", index)

    def mask_classes(self) -> dict[int, str]:
        """1 aeroplane to 20 tvmonitor."""
        return dict(enumerate(CLASSES, 1))

    def _mask(self, folder: str, index: int) -> Int[np.ndarray, "H W"] | None:
        file = self._folder / folder / f"{self._ids[index]}.png"
        return read_mask(file, self.size(index)) if file.is_file() else None

    def _image_file(self, index: int) -> Path:
        return self._folder / "JPEGImages" / f"{self._ids[index]}.jpg"

    @cached_property
    def _folder(self) -> Path:
        folder = None if self._root is None else _find(self._root, self._year)
        if folder is not None:
            return folder
        layout = _LAYOUT.format(root=self._root or "ROOT", year=self._year)
        raise missing(f"VOC{self._year}", self._root, layout, _cure(self._year))

    @cached_property
    def _ids(self) -> list[str]:
        file = _list_file(self._folder / "ImageSets" / self._image_sets, self._split)
        ids = read_list(file)
        require_files(self._folder / "JPEGImages", [f"{image_id}.jpg" for image_id in ids], file)
        require_files(self._folder / "Annotations", [f"{image_id}.xml" for image_id in ids], file)
        return ids


def _find(root: Path, year: int) -> Path | None:
    places = [root / "VOCdevkit" / f"VOC{year}", root / f"VOC{year}"]
    if root.name == f"VOC{year}":
        places.append(root)
    found = (place for place in places if (place / "JPEGImages").is_dir() and (place / "ImageSets").is_dir())
    return next(found, None)


def _cure(year: int) -> str:
    archive = _ARCHIVES[year][0].rpartition("/")[2]
    return (
        f"data.download=true fetches it; or unpack {archive} yourself and name the folder that it was "
        "unpacked in by data.root=FOLDER or NAVE_DATA=FOLDER"
    )


def _list_file(folder: Path, split: str) -> Path:
    file = folder / f"{split}.txt"
    if file.is_file():
        return file
    splits = ", ".join(sorted(path.stem for path in folder.glob("*.txt"))) or "none"
    raise MissingDataset(f"split={split}: no {file}; splits there: {splits}")
