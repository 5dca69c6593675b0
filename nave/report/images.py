"""Photographs and maps as the page carries them: small files inside data URIs."""

import base64
import io
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from jaxtyping import UInt8
from PIL import Image

from nave import maps
from nave.data.errors import MissingDataset
from nave.data.photograph import Dataset, UnreadableImage
from nave.photographs import QUALITY, photograph_path, shrunk
from nave.report.collect import Run, Variant

LONGEST = 640  # pixels of the longer side: sharp in a viewer, 100 images in less than 10 MB


def photograph(runs: Sequence[Run], image_id: str) -> bytes | None:
    """A small JPEG of one image: a run's own copy, else out of its data set; None where neither is at hand."""
    for run in runs:
        path = photograph_path(run.folder, image_id)
        if path.is_file():
            return path.read_bytes()
    return next((found for run in runs if (found := _reopened(run, image_id)) is not None), None)


def _reopened(run: Run, image_id: str) -> bytes | None:
    dataset = _dataset(run)
    index = dataset and dataset[1].get(image_id)
    if dataset is None or index is None:
        return None
    try:
        return jpeg(dataset[0].image(index))
    except UnreadableImage:
        return None


@cache
def _dataset(run: Run) -> tuple[Dataset, dict[str, int]] | None:
    """A run's data set, if it is still there, and where each image stands in it."""
    try:
        dataset: Any = instantiate(run.record["config"]["data"], _convert_="all")
    except InstantiationException as error:
        if isinstance(error.__cause__, MissingDataset):
            return None
        raise
    return dataset, {dataset.image_id(index): index for index in range(len(dataset))}


def jpeg(photograph: Image.Image) -> bytes:
    """The photograph, no larger than the page needs it."""
    file = io.BytesIO()
    shrunk(photograph, LONGEST).save(file, "JPEG", quality=QUALITY, optimize=True)
    return file.getvalue()


def page_size(width: int, height: int) -> tuple[int, int]:
    """(width, height) of an image's maps on the page; nothing is enlarged."""
    scale = min(1.0, LONGEST / max(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))


def read_map(variant: Variant, image_id: str) -> UInt8[np.ndarray, "h w"]:
    """One map from disk, at the page's size; pixels are cluster ids.

    Raises:
        FileNotFoundError: naming the file, if a run lost its maps.
    """
    line = variant.lines[image_id]
    image = Image.fromarray(maps.read_map(variant.folder, image_id))
    return np.array(image.resize(page_size(line["width"], line["height"]), Image.Resampling.NEAREST), np.uint8)


def grey_png(labels: UInt8[np.ndarray, "h w"]) -> bytes:
    """A grey PNG whose pixels are the ids: the page's script reads them back and colours them."""
    file = io.BytesIO()
    Image.fromarray(labels).save(file, "PNG", optimize=True)
    return file.getvalue()


def data_uri(content: bytes, kind: str) -> str:
    """``data:image/png;base64,…``."""
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"
