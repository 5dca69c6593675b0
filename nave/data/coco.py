"""COCO, or any data set that comes as an instances JSON and a folder of images."""

import logging
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Int
from PIL import Image

from nave.data.coco_table import Instances, Row, read_instances
from nave.data.decode import open_image
from nave.data.download import Download, fetch
from nave.data.errors import missing
from nave.data.ids import require_files, unique_ids
from nave.data.mask import read_mask
from nave.data.photograph import Truth, UnreadableImage
from nave.data.text import read_list

_log = logging.getLogger(__name__)

UNLABELLED = 255  # in masks

_CURE = (
    "images and annotations come from cocodataset.org; name the folder with coco in it by data.root=FOLDER\n"
    "or NAVE_DATA=FOLDER, or both places by data.annotations=FILE data.images=FOLDER"
)


class Coco:
    """Images and boxes of the JSON `annotations`; `images` is the folder that its file names start from.

    By default these are `<root>/coco/annotations/instances_<split>.json` and `<root>/coco/<split>`, where
    root may also be `coco` itself. `file_list`: a text file of file names, to take these images alone; paths
    before the names are ignored. `masks`: a folder of COCO-Stuff's `stuffthingmaps`, one PNG an image, in
    sub-folders like the images'. Crowd regions are dropped, every category counts. Raises MissingDataset and
    MalformedData. `cure` is the way out that a missing data set is reported with; `prepare` makes those
    `downloads` whose targets are missing.
    """

    exclusive = False

    def __init__(
        self,
        root: str | Path | None = None,
        split: str = "train2017",
        *,
        annotations: str | Path | None = None,
        images: str | Path | None = None,
        file_list: str | Path | None = None,
        masks: str | Path | None = None,
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
        """Makes the downloads; raises MissingDataset where something is missing still."""
        for download in self._downloads:
            fetch(download)
        _ = self._ids

    def __len__(self) -> int:
        return len(self._rows)

    def image_id(self, index: int) -> str:
        """The JSON's file name without its suffix, "COCO_train2014_000000000036"."""
        return self._ids[index]

    def image(self, index: int) -> Image.Image:
        """As stored, or upright where only that has the JSON's size; UnreadableImage if neither has."""
        sizes = []
        for upright in (False, True):
            image = open_image(self._images / self._rows[index].file_name, self._ids[index], upright)
            sizes.append((image.height, image.width))
            if sizes[-1] == self.size(index):
                return image
        reason = f"{sizes[0]} pixels (height, width), but {self.size(index)} in {self._annotations.name}"
        raise UnreadableImage(self._ids[index], reason)

    def size(self, index: int) -> tuple[int, int]:
        """(height, width) as the JSON has it."""
        return self._rows[index].size

    def truth(self, index: int) -> Truth:
        """Without boxes, not None, for an image without annotations: these sets are annotated throughout."""
        return self._rows[index].truth

    def labels(self, index: int) -> tuple[str, ...]:
        """The categories with at least one box in the image, sorted."""
        return tuple(sorted(set(self.truth(index).classes)))

    def mask(self, index: int) -> Int[np.ndarray, "H W"] | None:
        """Category id of every pixel (1 to 182), 255 unlabelled; None where there is no mask.

        Raises MalformedData for a file that cannot be read or has another size than its image.
        """
        if self._masks is None:
            return None
        file = (self._masks / self._rows[index].file_name).with_suffix(".png")
        if not file.is_file():
            return None
        stored = read_mask(file, self.size(index))  # ids less 1
        return np.where(stored == UNLABELLED, UNLABELLED, stored + 1)

    def object_mask(self, index: int) -> None:
        """COCO-Stuff's maps tell no object from another of its category."""

    def mask_classes(self) -> dict[int, str]:
        """The categories of the JSON; COCO-Stuff's own, which have no boxes, are not in it."""
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
        found = read_instances(self._annotations, listed)
        if listed is not None and len(found.rows) < len(listed):
            _log.warning("%s is a sample: %d of its %d images are annotated", self.name, len(found.rows), len(listed))
        require_files(self._images, [row.file_name for row in found.rows], self._annotations)
        return found

    @cached_property
    def _ids(self) -> list[str]:
        return unique_ids([row.file_name for row in self._rows])


def coco_folder(root: Path) -> Path:
    """`root` where it is the folder with `annotations` in it, else `<root>/coco`."""
    return root if (root / "annotations").is_dir() else root / "coco"
