"""COCO, or any data set with an instances JSON and a folder of images; and COCO20k."""

import hashlib
import logging
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path, PurePosixPath

import numpy as np
from jaxtyping import Int
from PIL import Image

from nave.data.coco_instances import Instances, Row, read_instances
from nave.data.download import Download, fetch
from nave.data.folder import absent_files, require_files, unique_ids
from nave.data.interface import GroundTruth, MalformedDataError, missing
from nave.data.reading import Fit, fit, open_image, read_list, read_mask

_log = logging.getLogger(__name__)

UNLABELLED = 255  # in masks

_CURE = (
    "images and annotations come from cocodataset.org; name the folder with coco in it by data.root=FOLDER\n"
    "or NAVE_DATA=FOLDER, or both places by data.annotations=FILE data.images=FOLDER"
)
_LIST = "coco_20k_filenames.txt"
_LIST_SHA256 = "74637e9b4f93f2ebef9b1f664aff53edd1f41ef08dad97bd22ce8e455052b335"
_CURE_20K = (
    "data.download=true fetches what is missing (14 GB); or get train2014 and its annotations from\n"
    f"cocodataset.org, {_LIST} from the repository of LOST, and name the folder with coco in it by\n"
    "data.root=FOLDER or NAVE_DATA=FOLDER"
)


class Coco:
    """The images and boxes of an instances JSON; crowd regions are dropped, all categories are kept.

    ``conf/data/coco.yaml`` says what the options mean. An image's mask lies under its own path in ``masks``, as PNG;
    folders in ``file_list`` are ignored; ``cure`` ends the error if the data set is missing.

    Raises:
        MissingDatasetError: if a file or folder is missing and there are no ``downloads``.
        MalformedDataError: for an invalid JSON or list, and a folder of masks that has none of these images.
    """

    exclusive = False

    def __init__(
        self,
        root: str | Path | None,
        split: str,
        *,
        annotations: str | Path | None,
        images: str | Path | None,
        file_list: str | Path | None,
        masks: str | Path | None,
        name: str = "coco",
        cure: str = _CURE,
        downloads: Sequence[Download] = (),
    ) -> None:
        self.name = name
        self._root = None if root is None else Path(root).expanduser()
        folder = coco_folder(self._root or Path("ROOT"))
        self._annotations = Path(annotations or folder / "annotations" / f"instances_{split}.json").expanduser()
        self._images = Path(images or folder / split).expanduser()
        self._file_list = None if file_list is None else Path(file_list).expanduser()
        self._masks = None if masks is None else Path(masks).expanduser()
        self._cure, self._downloads = cure, downloads
        if not downloads:
            self.prepare()

    def prepare(self) -> None:
        """Downloads what was requested; raises MissingDatasetError if files are missing."""
        for download in self._downloads:
            fetch(download)
        _ = self._ids

    def __len__(self) -> int:
        return len(self._rows)

    def image_id(self, index: int) -> str:
        """The JSON's file name without suffix, such as ``COCO_train2014_000000000036``."""
        return self._ids[index]

    def image(self, index: int) -> Image.Image:
        """The image as stored, or upright if only then it has the size that the JSON gives.

        Raises:
            UnreadableImageError: if it cannot be read, or has another size that is no plain rescale.
        """
        return open_image(self._image_file(index), self._ids[index], self._fit(index).upright)

    def size(self, index: int) -> tuple[int, int]:
        """(height, width) from the file's header; errors as of :meth:`image`."""
        return self._fit(index).size

    def truth(self, index: int) -> GroundTruth:
        """The annotated objects, scaled if the image was; errors as of :meth:`image`.

        Empty, not None, without annotations, since all images of the JSON are annotated.
        """
        return self._rows[index].truth.scaled(self._fit(index).scale)

    def labels(self, index: int) -> tuple[str, ...]:
        """The categories with at least one box in the image, sorted."""
        return tuple(sorted(set(self._rows[index].truth.classes)))

    def mask(self, index: int) -> Int[np.ndarray, "H W"] | None:
        """Category id of every pixel (1 to 182), 255 unlabelled; None if the image has no mask.

        Raises:
            MalformedDataError: for a mask that cannot be read or differs in size from its image.
        """
        file = self._mask_file(index)
        if file is None or not file.is_file():
            return None
        stored = read_mask(file, self.size(index))  # category ids minus 1
        return np.where(stored == UNLABELLED, UNLABELLED, stored + 1)

    def _image_file(self, index: int) -> Path:
        return self._images / self._rows[index].file_name

    def _fit(self, index: int) -> Fit:
        return fit(self._image_file(index), self._ids[index], self._rows[index].size, self._annotations.name)

    def _mask_file(self, index: int) -> Path | None:
        return None if self._masks is None else (self._masks / self._rows[index].file_name).with_suffix(".png")

    def files(self, index: int) -> list[Path]:
        """The image and its mask; the boxes of all images are in one file."""
        mask = self._mask_file(index)
        return [self._image_file(index), *([] if mask is None else [mask])]

    def object_mask(self, index: int) -> None:
        """None: COCO-Stuff does not separate the objects of a category."""

    def mask_classes(self) -> dict[int, str]:
        """The categories of the JSON; COCO-Stuff's further categories are not named there."""
        return self._instances.categories

    @property
    def _rows(self) -> list[Row]:
        return self._instances.rows

    @cached_property
    def _instances(self) -> Instances:
        places = [self._annotations, self._images, *filter(None, (self._file_list, self._masks))]
        if not all(place.exists() for place in places):
            raise missing(self.name, self._root, "\n".join(f"  {place}" for place in places), self._cure)
        listed = None if self._file_list is None else read_list(self._file_list)
        instances = read_instances(self._annotations, listed)
        count = len(instances.rows)
        if listed is not None and count < len(listed):
            _log.warning("%s is a sample: %d of its %d images are annotated", self.name, count, len(listed))
            instances.skipped["listed images without annotations"] = len(listed) - count
        require_files(self._images, [row.file_name for row in instances.rows], self._annotations)
        if without := self._without_mask(instances.rows):
            instances.skipped["images without a mask"] = without
        return instances

    def _without_mask(self, rows: Sequence[Row]) -> int:
        """How many images have no mask; raises MalformedDataError if none has one: it is the wrong folder."""
        if self._masks is None or not rows:
            return 0
        names = [PurePosixPath(row.file_name).with_suffix(".png").as_posix() for row in rows]
        absent = len(absent_files(self._masks, names))
        if absent == len(names):
            raise MalformedDataError(f"{self._masks}: none of the {absent} masks is there, such as {names[0]}")
        return absent

    @property
    def passed_over(self) -> Mapping[str, int]:
        """Annotations that were left out, and images of the list that the JSON does not have."""
        return self._instances.skipped

    @cached_property
    def _ids(self) -> list[str]:
        return unique_ids([row.file_name for row in self._rows])


def coco_folder(root: Path) -> Path:
    """``root`` if it contains ``annotations``, else ``<root>/coco``."""
    return root if (root / "annotations").is_dir() else root / "coco"


def coco20k(root: str | Path | None, *, file_list: str | Path | None, download: bool) -> Coco:
    """COCO20k: the images of train2014 that LOST lists.

    Args:
        file_list: LOST's list; None for ``<root>/coco/coco_20k_filenames.txt``.
        download: let ``prepare`` download what is missing: the list (1 MB), the JSON (0.25 GB), the images (13.5 GB).

    Raises:
        MalformedDataError: for a list that is not LOST's (by sha256); and as :class:`Coco`.
    """
    folder = coco_folder(Path(root or "ROOT").expanduser())
    names = Path(file_list or folder / _LIST).expanduser()
    if names.is_file() and (got := hashlib.sha256(names.read_bytes()).hexdigest()) != _LIST_SHA256:
        raise MalformedDataError(f"{names}: sha256 is {got}, that of the official list {_LIST_SHA256}")
    downloads = _downloads(folder, names) if download and root is not None else ()
    paths = {"annotations": None, "images": None, "file_list": names, "masks": None}
    return Coco(root, "train2014", **paths, name="coco20k", cure=_CURE_20K, downloads=downloads)


def _downloads(folder: Path, names: Path) -> tuple[Download, ...]:
    json = "annotations/instances_train2014.json"
    return (
        Download(
            "https://raw.githubusercontent.com/valeoai/LOST/master/datasets/coco_20k_filenames.txt",
            f"sha256:{_LIST_SHA256}",
            names,
        ),
        Download(
            "http://images.cocodataset.org/annotations/annotations_trainval2014.zip",
            "md5:0a379cfc70b0e71301e0f377548639bd",
            folder / json,
            json,
        ),
        Download(
            "http://images.cocodataset.org/zips/train2014.zip",
            "md5:0da8c0bd3d6becc4dcb32757491aca88",
            folder / "train2014",
            "train2014",
        ),
    )
