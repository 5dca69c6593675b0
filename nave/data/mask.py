"""Masks: pictures whose pixels are classes."""

from pathlib import Path

import numpy as np
from jaxtyping import Int
from PIL import Image

from nave.data.errors import MalformedData


def read_mask(file: Path, size: tuple[int, int]) -> Int[np.ndarray, "H W"]:
    """The pixel values of a grey or palette picture of `size` (height, width).

    Raises MalformedData, naming the file, for anything else.
    """
    try:
        with Image.open(file) as image:
            mask = np.asarray(image)
    except (OSError, SyntaxError, ValueError) as error:
        raise MalformedData(f"{file}: no mask can be read from it ({error})") from error
    if mask.shape != size:
        raise MalformedData(
            f"{file}: the mask is {mask.shape}, its image {size} (height, width): a mask has one channel and "
            "the size of its image"
        )
    return mask.astype(np.int64)
