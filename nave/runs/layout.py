"""Every path in the folder of a run.

::

    run.json                      configuration, versions, weights, status           (record.py)
    foreground.safetensors        the head that chose the boxes                      (localization/foreground.py)
    data.jsonl                    size, time and hash of what each image was read from   (contents.py)
    .claim                        the process at work in the folder                    (claim.py)
    parts/<rank>.jsonl            images that each process has finished, during the run (journal.py)
    photographs/<image_id>.jpg    small copies of the images that have overlays
    report.html                   the report
    wandb/                        what W&B keeps of the run                          (loggers/wandb.py)
    k3/, k5/, ...                 one folder per K; with a single K, the run folder itself:
        predictions.jsonl         one line per image                                 (prediction.py)
        metrics.json              scores with their intervals                        (scoring.py)
        maps/<image_id>.png       cluster ids as pixel values; in a large run in shards    (shards.py)
        overlays/<image_id>.jpg   some images with their clusters and boxes         (pictures.py)
        centroids/<image_id>.npy  for concepts, and for data sets with masks or watermarks; in shards too
        concepts.json             what the clusters of all images have in common     (concepts.py)

The folder of a sweep holds sweep.json, summary.csv, summary.md and one run folder per job. refused/<job>.txt explains
why a job was refused its folder.
"""

import io
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

import numpy as np
from jaxtyping import Float32, UInt8
from PIL import Image

from nave.runs.arrays import from_npy
from nave.runs.shards import INDEX, Span, Stored, at, find

K = int | Literal["auto"] | None  # the requested number of clusters; None for a baseline, which does not cluster
RUN, PLAN, PAGE = "run.json", "sweep.json", "report.html"
MAPS, OVERLAYS, CENTROIDS = "maps", "overlays", "centroids"
BY_IMAGE = {MAPS: ".png", OVERLAYS: ".jpg", CENTROIDS: ".npy"}  # sub-folders with one file per image
PHOTOGRAPHS = "photographs"
WANDB = "wandb"
CLAIM = ".claim"


def beside(page: Path) -> Path:
    """The folder of the images of a page that would be too large with them."""
    return page.with_name(f"{page.stem}_files")


@dataclass(frozen=True)
class ResultsFolder:
    """The folder with the results of a run at one K."""

    path: Path

    @property
    def predictions(self) -> Path:
        """One line per image, in the data set's order."""
        return self.path / "predictions.jsonl"

    @property
    def metrics(self) -> Path:
        """Scores by name."""
        return self.path / "metrics.json"

    @property
    def concepts(self) -> Path:
        """The concepts of the images, if there are some."""
        return self.path / "concepts.json"

    def map(self, image_id: str) -> Path:
        """The map of one image, unless it is packed: an indexed PNG of the original image's size."""
        return self.of_image(MAPS, image_id)

    def overlay(self, image_id: str) -> Path:
        """The image with its clusters and boxes."""
        return self.of_image(OVERLAYS, image_id)

    def centroids(self, image_id: str) -> Path:
        """The centroids of one image, unless they are packed: a NumPy file of shape ``(K, D)``."""
        return self.of_image(CENTROIDS, image_id)

    def of_image(self, kind: str, image_id: str) -> Path:
        """The file of one image in the sub-folder ``kind``, which belongs to it alone."""
        return _of_image(self.path / kind, image_id, BY_IMAGE[kind])

    def stored(self, kind: str, image_id: str, span: Span | None = None) -> Stored:
        """Where the map or the centroids of one image lie, in a file of their own or in a shard.

        Without a ``span`` the index is asked.
        """
        packed = find(self.path / kind, image_id) if span is None else at(self.path / kind, image_id, span)
        return packed or Stored(self.of_image(kind, image_id), image_id)

    @property
    def indices(self) -> list[Path]:
        """The indices of the shards, if the results are packed."""
        return [path for kind in BY_IMAGE if (path := self.path / kind / INDEX).is_file()]

    @property
    def has_centroids(self) -> bool:
        """Whether the run kept centroids."""
        return (self.path / CENTROIDS).is_dir()

    def read_map(self, image_id: str) -> UInt8[np.ndarray, "H W"]:
        """The map of one image at the original image's size; pixels are cluster ids.

        Raises:
            FileNotFoundError: if the map is missing, naming the file.
            ValueError: if it is damaged, naming the file.
        """
        with self._opened_map(image_id) as image:
            return np.array(image)

    def read_coloured_map(self, image_id: str) -> tuple[UInt8[np.ndarray, "H W"], UInt8[np.ndarray, "C 3"]]:
        """The map of one image, and the colours of its clusters; raises as :meth:`read_map`."""
        with self._opened_map(image_id) as image:
            return np.array(image), np.array(image.getpalette() or [], np.uint8).reshape(-1, 3)

    @contextmanager
    def _opened_map(self, image_id: str) -> Iterator[Image.Image]:
        stored = self.stored(MAPS, image_id)
        if not stored.path.is_file():
            raise FileNotFoundError(f"there is no map {stored}: run the images again")
        with _reading(stored, "map"), Image.open(io.BytesIO(stored.read()), formats=["PNG"]) as image:
            image.load()
            if image.mode not in ("P", "L"):
                raise ValueError(f"{image.mode} pixels are no cluster ids")
            yield image

    def read_centroids(self, image_id: str, span: Span | None = None) -> Float32[np.ndarray, "K D"]:
        """The centroids of one image; ``span`` as in :meth:`stored`.

        Raises:
            ValueError: if the file is missing or damaged, naming the file.
        """
        stored = self.stored(CENTROIDS, image_id, span)
        with _reading(stored, "centroids"):
            centroids: Float32[np.ndarray, "K D"] = from_npy(stored.read())
        if not isinstance(centroids, np.ndarray) or centroids.dtype != np.float32 or centroids.ndim != 2:
            raise ValueError(f"{stored} is no array of float32 (K, D), so it holds no centroids: run the images again")
        if not (centroids.size and np.isfinite(centroids).all()):
            raise ValueError(f"{stored}: centroids {centroids.shape} that are not all finite: run the images again")
        return centroids

    def files(self) -> list[Path]:
        """Predictions, scores and concepts, as far as they exist."""
        return [file for file in (self.predictions, self.metrics, self.concepts) if file.is_file()]

    def clear(self) -> None:
        """Deletes all results."""
        for name in BY_IMAGE:
            shutil.rmtree(self.path / name, ignore_errors=True)
        for file in self.files():
            file.unlink()


@dataclass(frozen=True)
class RunFolder:
    """The folder of a run."""

    path: Path

    @property
    def record(self) -> Path:
        """Configuration, versions, weights, times and status of the run."""
        return self.path / RUN

    @property
    def foreground(self) -> Path:
        """The foreground head that chose the boxes, if one did."""
        return self.path / "foreground.safetensors"

    @property
    def claim(self) -> Path:
        """The process that works in the folder; it exists while one does."""
        return self.path / CLAIM

    def data(self, name: str = "data") -> Path:
        """What each image was read from."""
        return self.path / f"{name}.jsonl"

    @property
    def parts(self) -> Path:
        """The folder of the journals; it exists until the run has finished."""
        return self.path / "parts"

    def part(self, rank: int) -> Path:
        """The journal of the process ``rank``."""
        return self.parts / f"{rank}.jsonl"

    def photograph(self, image_id: str) -> Path:
        """The small copy of one image: a JPEG."""
        return _of_image(self.path / PHOTOGRAPHS, image_id, ".jpg")

    @property
    def page(self) -> Path:
        """The report on this run."""
        return self.path / PAGE

    @property
    def refusal(self) -> Path:
        """Why this job of a sweep was refused its folder, which belongs to another run and stays untouched."""
        return self.path.parent / "refused" / f"{self.path.name}.txt"

    def at(self, k: K, ks: Sequence[K]) -> ResultsFolder:
        """The folder of the results at ``k``, one of the run's ``ks``."""
        return ResultsFolder(self.path / f"k{k}" if len(ks) > 1 else self.path)


def _of_image(folder: Path, image_id: str, suffix: str) -> Path:
    """The file of one image; raises ValueError for an id that leads out of the folder."""
    suspicious = image_id[:1] in ("", "/", ".") or ".." in image_id or "\0" in image_id  # others need no closer look
    parts = PurePosixPath(image_id).parts if suspicious else (image_id,)
    if not parts or parts[0] == "/" or ".." in parts or "\0" in image_id:
        raise ValueError(f"image id {image_id!r} leads out of {folder}: an id is a relative path without ..")
    return folder / f"{image_id}{suffix}"


@contextmanager
def _reading(file: object, kind: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # Pillow and NumPy raise errors of many types on broken files
        raise ValueError(f"{file}: no {kind} can be read from it ({error}): run the images again") from error


def k_text(k: K | str) -> str:
    """``k`` as it is printed: a dash for a baseline."""
    return "-" if k is None else str(k)


def k_order(k: K | str) -> tuple[int, str]:
    """Sorting key of K: numbers by size, then ``auto`` and the dash of baselines."""
    text = k_text(k)
    return (int(text), "") if text.isdigit() else (256, text)
