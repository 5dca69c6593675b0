"""PASCAL VOC 2007 and 2012 in their official layout."""

from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Int
from PIL import Image

from nave.data.download import Download, fetch
from nave.data.folder import require_files
from nave.data.interface import Entry, GroundTruth, MissingDatasetError, missing
from nave.data.reading import Fit, fit, open_image, read_list, read_mask
from nave.data.voc_annotation import Annotation, read_annotation

CLASSES = (
    *("aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable"),
    *("dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor"),
)  # class 1 to 20 of the masks; 0 is background, 255 void

MASKS = ("SegmentationClass", "SegmentationObject")  # folders

_HOST = "https://thor.robots.ox.ac.uk/pascal/VOC"
_ARCHIVES = {  # train and validation, with torchvision's md5 sums
    2007: (f"{_HOST}/voc2007/VOCtrainval_06-Nov-2007.tar", "md5:c52e279531787c972589f7e41ab4ae64"),
    2012: (f"{_HOST}/voc2012/VOCtrainval_11-May-2012.tar", "md5:6cd6e144f989b92b3379bac3b3de84fd"),
}

_LAYOUT = """\
  {root}/VOCdevkit/VOC{year}/JPEGImages/*.jpg
  {root}/VOCdevkit/VOC{year}/Annotations/*.xml
  {root}/VOCdevkit/VOC{year}/ImageSets/Main/trainval.txt
  (root may also be VOCdevkit or VOC{year} itself)"""


class VOC:
    """The images of one list ``ImageSets/<image_sets>/<split>.txt``; difficult and truncated boxes are hard.

    Args:
        root: the folder that contains ``VOCdevkit``; ``VOCdevkit`` or ``VOC<year>`` itself is accepted too.
        image_sets: Main, or Segmentation for the images that have masks.

    Raises:
        MissingDatasetError: if the data set or the list is missing and ``download`` is False.
        MalformedDataError: for a list with repeated entries or entries without files.
        ValueError: for another year.
    """

    exclusive = False

    def __init__(
        self,
        root: str | Path | None,
        year: int,
        split: str,
        *,
        image_sets: str,
        download: bool,
    ) -> None:
        if year not in _ARCHIVES:
            raise ValueError(f"year={year}: choose from {', '.join(map(str, _ARCHIVES))}")
        self.name = f"voc{year % 100:02d}"
        self._root = None if root is None else Path(root).expanduser()
        self._year, self._split, self._image_sets, self._download = year, split, image_sets, download
        if not download:
            self.prepare()

    def prepare(self) -> None:
        """Downloads the data set if requested; raises MissingDatasetError if it is missing."""
        if self._download and self._root is not None and _find(self._root, self._year) is None:
            devkit = self._root if self._root.name == "VOCdevkit" else self._root / "VOCdevkit"
            name = f"VOC{self._year}"
            fetch(Download(*_ARCHIVES[self._year], devkit / name, f"VOCdevkit/{name}"))
        _ = self._ids

    def __len__(self) -> int:
        return len(self._ids)

    def image_id(self, index: int) -> str:
        """The file name without suffix, such as ``2008_000676``."""
        return self._ids[index]

    def image(self, index: int) -> Image.Image:
        """The image as stored, like the boxes, or upright if only then it has the annotation's size.

        Raises:
            UnreadableImageError: if it cannot be read, or has another size that is no plain rescale.
            MalformedDataError: for an invalid annotation file.
        """
        return self._image(index, self._fit(index, self._annotation(index)))

    def size(self, index: int) -> tuple[int, int]:
        """(height, width) from the file's header; errors as of :meth:`image`."""
        return self._fit(index, self._annotation(index)).size

    def truth(self, index: int) -> GroundTruth:
        """The annotated objects; their boxes are scaled if the image was. Errors as of :meth:`image`."""
        annotation = self._annotation(index)
        return annotation.truth(self._fit(index, annotation))

    def labels(self, index: int) -> tuple[str, ...]:
        """The classes with at least one box in the image, sorted."""
        return _sorted_classes(self.truth(index))

    def entry(self, index: int) -> Entry:
        """The image, its objects and its classes, from one look at the annotation; errors as of :meth:`image`."""
        annotation = self._annotation(index)
        lies = self._fit(index, annotation)
        image, truth = self._image(index, lies), annotation.truth(lies)
        return Entry(image, truth, _sorted_classes(truth))

    def mask(self, index: int) -> Int[np.ndarray, "H W"] | None:
        """Class of every pixel: 0 background, 1 to 20 as CLASSES, 255 void; None if the image has no mask.

        Raises:
            MalformedDataError: for a mask that cannot be read or differs in size from its image.
        """
        return self._mask(MASKS[0], index)

    def object_mask(self, index: int) -> Int[np.ndarray, "H W"] | None:
        """Object of every pixel: 0 background, 1, 2, … objects, 255 void; None and errors as of :meth:`mask`."""
        return self._mask(MASKS[1], index)

    def mask_classes(self) -> dict[int, str]:
        """Names of the classes 1 to 20."""
        return dict(enumerate(CLASSES, 1))

    def _mask(self, folder: str, index: int) -> Int[np.ndarray, "H W"] | None:
        file = self._folder / folder / f"{self._ids[index]}.png"
        return read_mask(file, self.size(index)) if file.is_file() else None

    def files(self, index: int) -> list[Path]:
        """The image, its annotation and its masks."""
        masks = [self._folder / folder / f"{self._ids[index]}.png" for folder in MASKS]
        return [self._image_file(index), self._annotation_file(index), *masks]

    def _image(self, index: int, lies: Fit) -> Image.Image:
        return open_image(self._image_file(index), self._ids[index], lies.upright)

    def _annotation(self, index: int) -> Annotation:
        return read_annotation(self._annotation_file(index))

    def _fit(self, index: int, annotation: Annotation) -> Fit:
        where = self._annotation_file(index).name
        return fit(self._image_file(index), self._ids[index], annotation.size, where)

    def _annotation_file(self, index: int) -> Path:
        return self._folder / "Annotations" / f"{self._ids[index]}.xml"

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


def _sorted_classes(truth: GroundTruth) -> tuple[str, ...]:
    return tuple(sorted(set(truth.classes)))


def _find(root: Path, year: int) -> Path | None:
    places = [root / "VOCdevkit" / f"VOC{year}", root / f"VOC{year}"]
    if root.name == f"VOC{year}":
        places.append(root)
    needed = ("JPEGImages", "ImageSets")
    return next((folder for folder in places if all((folder / name).is_dir() for name in needed)), None)


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
    raise MissingDatasetError(f"split={split}: no {file}; splits there: {splits}")
