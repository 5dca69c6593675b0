"""The operators of bilinear and nearest upsampling in the form that the kernels take."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, Int64


class Taps(NamedTuple):
    """A bilinear operator in two-tap form: a point is ``(1 - weight) g[first] + weight g[first + 1]``.

    ``first`` never decreases, and ``weight``, from 0 to 1, not where ``first`` stays: points go from left to right.
    """

    first: Int64[np.ndarray, " N"]
    weight: Float32[np.ndarray, " N"]


def taps(operator: Float32[np.ndarray, "N n"]) -> Taps | None:
    """The two-tap form of a dense operator; None for another.

    A point may mix more, or points may not be in order: bicubic upsampling, of two grid points too, overshoots.
    """
    support = operator != 0
    first = support.argmax(1)
    last = operator.shape[1] - 1 - support[:, ::-1].argmax(1)
    points = np.arange(len(operator))
    weight = np.where(last > first, operator[points, last], 0)
    back = (np.diff(first) < 0) | ((np.diff(first) == 0) & (np.diff(weight) < 0))
    if (last - first > 1).any() or back.any() or weight.min() < 0 or weight.max() > 1:
        return None
    return Taps(first.astype(np.int64), weight.astype(np.float32))
