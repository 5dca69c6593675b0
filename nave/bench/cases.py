"""What the sections of ``python -m nave.bench.gpu`` measure: photographs, sizes, precisions, and a run of them."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import ClassVar

import torch
from omegaconf import DictConfig
from PIL import ImageOps
from PIL.Image import Image, Resampling

from nave.bench.end_to_end import photographs, write
from nave.config import composed
from nave.data.folder import Folder
from nave.pipeline import run
from nave.runs.layout import RunFolder
from nave.runs.record import Record

VOC07 = "VOCdevkit/VOC2007/JPEGImages"


@dataclass(frozen=True)
class Case:
    """One kind of run; ``name`` is part of the figures' keys."""

    size: str  # 224, or native
    precision: str  # float32, or bf16
    batch_size: int
    overrides: tuple[str, ...] = ()

    PRECISIONS: ClassVar = {"float32": "32-true", "bf16": "bf16-mixed"}

    @property
    def name(self) -> str:
        """As ``224_bf16``."""
        return f"{self.size}_{self.precision}"

    @property
    def options(self) -> list[str]:
        """Overrides of ``conf/config.yaml``."""
        precision = f"trainer.precision={self.PRECISIONS[self.precision]}"
        return [precision, f"loader.batch_size={self.batch_size}", *self.overrides]


@dataclass(frozen=True, eq=False)
class Bench:
    """The photographs and runs of one measurement; overrides are of ``conf/config.yaml``, for every run."""

    folder: Path  # of temporary files
    overrides: tuple[str, ...] = ()
    images: int = 768  # that are loaded and encoded; those at hand are repeated
    most: int = 8192  # images of the longest run, in which starting and ending processes counts for little
    size: tuple[int, int] = (375, 500)  # (height, width) of the files
    resized: int = 224  # side of the inputs of the case 224
    batch_sizes: tuple[int, int] = (64, 16)  # of the cases 224 and native
    clustered: tuple[int, ...] = (1, 16, 64)  # numbers of images that are clustered at once
    layers: str = "[-4,-3,-2,-1]"  # of the widest composite
    seconds: float = 8  # of a timed run, about
    scored: int = 48  # images on which devices and precisions are compared
    trained: tuple[str, ...] = ()  # further overrides of conf/train.yaml
    _numbers: Iterator[int] = field(default_factory=count, repr=False)

    @property
    def device(self) -> torch.device:
        """The GPU, or the CPU of a trial without one."""
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")

    def case(self, size: str, precision: str = "float32") -> Case:
        """The case of a ``size``, 224 or native, and a ``precision``, float32 or bf16."""
        resized = size != "native"
        image_size = self.resized if resized else "null"
        return Case(size, precision, self.batch_sizes[not resized], (f"image_size={image_size}",))

    @cached_property
    def root(self) -> Path:
        """JPEG files of one size: VOC 2007's under ``NAVE_DATA``, else those of ``data=sample`` and their rotations."""
        voc, root = Path(os.environ.get("NAVE_DATA", ""), VOC07), self.folder / "photographs"
        known = _fitted(voc, self.size, self.images) if voc.is_dir() else photographs(min(self.images, 64), self.size)
        return write(root, known, max(self.images, self.most))

    @cached_property
    def dataset(self) -> Folder:
        """The photographs as the runs read them."""
        return Folder(self.root)

    def configuration(self, *options: str, data: tuple[str, ...] | None = None) -> DictConfig:
        """As ``python -m nave.run`` composes it, of the photographs unless other ``data`` are given."""
        if data is None:
            data = ("data=folder", f'data.root="{self.root}"')
        return composed([*data, *self.overrides, *options])

    def run(self, *options: str, data: tuple[str, ...] | None = None) -> tuple[Record, RunFolder]:
        """What ``python -m nave.run`` does with these overrides; its record and its folder."""
        folder = RunFolder(self.folder / f"run_{next(self._numbers)}")
        folder.path.mkdir(parents=True)
        return run(self.configuration(*options, data=data), folder), folder


def _fitted(voc: Path, size: tuple[int, int], number: int) -> list[Image]:
    """The first photographs of a folder, cropped and resized to (height, width)."""
    dataset, shape = Folder(voc), (size[1], size[0])
    images = map(dataset.image, range(min(number, len(dataset))))
    return [ImageOps.fit(image, shape, Resampling.LANCZOS) for image in images]
