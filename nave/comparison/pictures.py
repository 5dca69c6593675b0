"""Images with their maps under several runs, small enough for a page."""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from omegaconf import OmegaConf
from PIL import Image

from nave.build import instantiate
from nave.data.interface import Dataset, MissingDatasetError, UnreadableImageError
from nave.loggers.interface import select_examples
from nave.near_names import near
from nave.runs.files import encoded
from nave.runs.labels import distinguished, without_k
from nave.runs.prediction import Line
from nave.runs.reader import Run, RunAtK, mean_overlaps, read_runs, runs_at_k
from nave.viz.overlay import QUALITY, shrunk, shrunk_size
from nave.viz.palette import PaletteIndex, align

LONGEST = 640  # pixels of the longer side; 100 images take less than 10 MB
MANY, SOME = 10_000, 1_000  # images of which a page shows only some


@dataclass(frozen=True, eq=False)
class Picture:
    """One image of a data set and the runs that explained it, None for those that did not."""

    image_id: str
    runs: tuple[RunAtK | None, ...]

    @property
    def present(self) -> list[RunAtK]:
        """The runs that explained the image."""
        return [run for run in self.runs if run is not None]

    @property
    def line(self) -> Line:
        """The prediction of the first run; size and ground truth are the same for all."""
        return self.present[0].lines[self.image_id]

    @property
    def photograph(self) -> bytes | None:
        """The image as a small JPEG, from a run's folder or its data set; None if neither has it."""
        runs = [at_k.run for at_k in self.present]
        for run in runs:
            path = run.folder.photograph(self.image_id)
            if path.is_file():
                return path.read_bytes()
        return next((jpeg for run in runs if (jpeg := _from_dataset(run, self.image_id)) is not None), None)

    def maps(self) -> list[UInt8[np.ndarray, "h w"]]:
        """The maps of :attr:`present` at the size of the page; pixels are cluster ids.

        Raises:
            FileNotFoundError: If a map is missing, naming the file.
        """
        size = shrunk_size((self.line["width"], self.line["height"]), LONGEST)
        maps = (Image.fromarray(run.read_map(self.image_id)) for run in self.present)
        return [np.array(labels.resize(size, Image.Resampling.NEAREST), np.uint8) for labels in maps]

    def aligned(self) -> list[tuple[UInt8[np.ndarray, "h w"], PaletteIndex]]:
        """Every map of :meth:`maps` with its palette indices; one concept keeps one colour over K and encoders."""
        maps = self.maps()
        return list(zip(maps, align(maps, [without_k(run) for run in self.present]), strict=True))


def pictures(runs: Sequence[RunAtK], image_ids: Collection[str] | None = None) -> list[Picture]:
    """Every image of the runs, in the order of the data sets; equal ids in different data sets are different images.

    Args:
        runs: At one K each.
        image_ids: Of the images; None for all.
    """
    pairs = [(_data(run), run) for run in runs]
    keys = dict.fromkeys(
        (data, image_id) for data, run in pairs for image_id in run.lines if image_ids is None or image_id in image_ids
    )
    return [
        Picture(image_id, tuple(run if data == own and image_id in run.lines else None for own, run in pairs))
        for data, image_id in keys
    ]


def representative(runs: Sequence[RunAtK]) -> set[str] | None:
    """The ids of the images that stand for all where there are too many to be shown; None: all can be shown.

    As for loggers, they are the worst, the best and random ones, of each data set by the first run on it.
    """
    if max(run.run.record["images"] for run in runs) <= MANY:
        return None
    firsts = {_data(run): run.run for run in reversed(runs)}
    chosen = [select_examples(mean_overlaps(run.at_k), SOME, run.record["config"]["seed"]) for run in firsts.values()]
    return {image_id for of_run in chosen for image_id in of_run}


def _data(run: RunAtK) -> str:
    return json.dumps(run.run.record["config"]["data"], sort_keys=True, allow_nan=False)


def chosen_runs(folders: Sequence[Path], ks: Sequence[str]) -> list[RunAtK]:
    """The finished runs in or below ``folders`` at the given K (all if none is given), with their settings.

    Raises:
        FileNotFoundError: If there is no finished run.
        ValueError: If no run has a given K, naming the existing ones.
    """
    runs = runs_at_k(read_runs(folders))
    known = list(dict.fromkeys(run.k for run in runs))
    if unknown := set(ks) - set(known):
        raise ValueError(f"no run has K = {', '.join(sorted(unknown))}: choose of {', '.join(known)}")
    return distinguished([run for run in runs if not ks or run.k in ks])


def chosen_pictures(runs: Sequence[RunAtK], image_ids: Sequence[str], count: int) -> list[Picture]:
    """The named images; if none is named, the first ``count`` that all runs explained.

    Raises:
        ValueError: If an image is not in the runs, naming some that are.
    """
    by_id = {picture.image_id: picture for picture in pictures(runs)}
    if missing := [image_id for image_id in image_ids if image_id not in by_id]:
        held = f"{', '.join([*by_id][:10])}{' …' * (len(by_id) > 10)}"
        raise ValueError(f"no image {missing[0]!r}: the runs hold {held}.{near(missing[0], by_id)}")
    return [by_id[name] for name in image_ids] or [picture for picture in by_id.values() if all(picture.runs)][:count]


def _from_dataset(run: Run, image_id: str) -> bytes | None:
    opened = _dataset(run)
    index = opened and opened[1].get(image_id)
    if opened is None or index is None:
        return None
    try:
        photograph = opened[0].image(index)
    except UnreadableImageError:
        return None
    return encoded(shrunk(photograph, LONGEST), "JPEG", quality=QUALITY, optimize=True)


@cache
def _dataset(run: Run) -> tuple[Dataset, dict[str, int]] | None:
    """The data set of a run, if it still exists, and the index of every image_id."""
    try:
        dataset: Dataset = instantiate(OmegaConf.create(run.record["config"]["data"]))
    except MissingDatasetError:
        return None
    return dataset, {dataset.image_id(index): index for index in range(len(dataset))}
