"""Maps of single images on disk: pixels are cluster ids."""

from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image


def map_path(folder: Path, image_id: str) -> Path:
    """Where a run under one K keeps the map of one image."""
    return folder / "maps" / f"{image_id}.png"


def read_map(folder: Path, image_id: str) -> UInt8[np.ndarray, "H W"]:
    """One map as the run wrote it, in the original image's pixels.

    Raises:
        FileNotFoundError: naming the file, if the run lost it.
    """
    with Image.open(map_path(folder, image_id)) as image:
        return np.array(image, np.uint8)
