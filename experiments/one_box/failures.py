"""Why the one box of an image misses: sorted by what lies in it."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Float64

from nave.runs.prediction import Line

SEVERAL, PART, MORE, ELSEWHERE = "several objects", "a part", "the object and more", "elsewhere"
KINDS = (SEVERAL, PART, MORE, ELSEWHERE)
HALF = 0.5


def kind(box: Sequence[float], objects: Sequence[Sequence[float]]) -> str:
    """Sorts a box that hits none of the objects, all boxes xyxy.

    Several objects, if two or more lie in it with half of their area each. Else the object that it overlaps most
    decides: a part of it, if more of the box lies in the object than of the object in the box, and the other way round
    the object and more; elsewhere, if neither is half.
    """
    in_box, in_object = shares(box, np.array(objects, np.float64))
    if (in_box >= HALF).sum() >= 2:
        return SEVERAL
    overlap = in_box * in_object / np.maximum(in_box + in_object - in_box * in_object, 1e-12)
    best = int(overlap.argmax())
    if max(in_box[best], in_object[best]) < HALF:
        return ELSEWHERE
    return PART if in_object[best] > in_box[best] else MORE


def shares(
    box: Sequence[float], objects: Float64[np.ndarray, "n 4"]
) -> tuple[Float64[np.ndarray, " n"], Float64[np.ndarray, " n"]]:
    """Which part of every object lies in the box, and which part of the box in every object."""
    x1, y1, x2, y2 = box
    sides = np.minimum(objects[:, 2:], (x2, y2)) - np.maximum(objects[:, :2], (x1, y1))
    common = np.maximum(sides, 0).prod(axis=1)
    areas: Float[np.ndarray, " n"] = (objects[:, 2:] - objects[:, :2]).prod(axis=1)
    return common / np.maximum(areas, 1e-12), common / max((x2 - x1) * (y2 - y1), 1e-12)


def of_line(line: Line) -> str:
    """The kind of an image's miss."""
    assert line["truth"]
    return kind(line["box"], line["truth"]["boxes"])
