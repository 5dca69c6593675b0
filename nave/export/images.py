"""The photographs of a run, as files that another tool can open."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Int
from omegaconf import OmegaConf

from nave.build import build_dataset
from nave.data.interface import Dataset, FromFiles, Masked
from nave.data.reading import is_turned
from nave.runs.files import write_image
from nave.runs.reader import Run


@dataclass(frozen=True, eq=False)
class Images:
    """The images of a run.

    Args:
        indices: The position of each image_id in the data set.
        folder: Where images are written that are no files of their own.
        stamped: Whether the run has explained images with a watermark, which no file holds.
    """

    dataset: Dataset
    indices: Mapping[str, int]
    folder: Path
    stamped: bool

    @classmethod
    def of(cls, run: Run, folder: Path) -> "Images":
        """The images of a run; raises MissingDatasetError if its data set is gone."""
        config = OmegaConf.create(run.record["config"])
        dataset = build_dataset(config, config.data)
        indices = {dataset.image_id(index): index for index in range(len(dataset))}
        return cls(dataset, indices, folder, config.watermark is not None)

    def path(self, image_id: str, seen_from: Path) -> str:
        """The path of an image relative to the folder ``seen_from``.

        An image that is no file of its own, or one that other tools would see turned, is written first.
        """
        own = self.dataset.files(self._index(image_id)) if isinstance(self.dataset, FromFiles) else ()
        path = own[0] if own and not self.stamped and not is_turned(own[0]) else self.folder / f"{image_id}.png"
        if path.is_relative_to(self.folder):
            write_image(self.dataset.image(self._index(image_id)), path)
        return Path(os.path.relpath(path.resolve(), seen_from.resolve())).as_posix()

    def object_mask(self, image_id: str) -> Int[np.ndarray, "H W"] | None:
        """The object of every pixel, where the data set knows it."""
        return self.dataset.object_mask(self._index(image_id)) if isinstance(self.dataset, Masked) else None

    def _index(self, image_id: str) -> int:
        if image_id not in self.indices:
            raise ValueError(f"data={self.dataset.name} no longer has the image {image_id!r}: run the images again")
        return self.indices[image_id]
