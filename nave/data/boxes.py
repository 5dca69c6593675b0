"""Boxes as annotated, made certain to lie in their image."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from nave.data.errors import MalformedData

Box = tuple[float, float, float, float]  # xyxy, half-open, pixels

_SLACK = 1.0  # pixels; annotators start counting at 0 or at 1, and decimals are rounded


def checked(boxes: Sequence[Box], size: tuple[int, int], where: Sequence[str]) -> Float[np.ndarray, "M 4"]:
    """Boxes clipped to the image of `size` (height, width) where they pass its border by a pixel at most.

    Raises MalformedData for a box without area or farther outside, preceded by its entry of `where`.
    """
    height, width = size
    for (x1, y1, x2, y2), place in zip(boxes, where, strict=True):
        if not (x1 < x2 and y1 < y2):
            raise MalformedData(f"{place}: box {(x1, y1, x2, y2)} is reversed or has no area")
        if min(x1, y1) < -_SLACK or x2 > width + _SLACK or y2 > height + _SLACK:
            raise MalformedData(f"{place}: box {(x1, y1, x2, y2)} leaves its image, {width} x {height} (w x h)")
    return clipped(boxes, size)


def clipped(boxes: Sequence[Box], size: tuple[int, int]) -> Float[np.ndarray, "M 4"]:
    """Boxes cut at the border of the image of `size` (height, width), those outside left without area."""
    height, width = size
    return np.clip(np.array(boxes, np.float64).reshape(-1, 4), 0, [width, height, width, height])
