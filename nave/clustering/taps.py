"""The operators of bilinear and nearest upsampling in the form that the kernels take."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, Int64


class Taps(NamedTuple):
    """A bilinear operator in two-tap form: a point is ``(1 - weight) g[first] + weight g[first + 1]``."""

    first: Int64[np.ndarray, " N"]
    weight: Float32[np.ndarray, " N"]


def taps(operator: Float32[np.ndarray, "N n"]) -> Taps | None:
    """The two-tap form of a dense operator; None if a point mixes more or if the points are not in order."""
    support = operator != 0
    first = support.argmax(1)
    last = operator.shape[1] - 1 - support[:, ::-1].argmax(1)
    if (last - first > 1).any() or (np.diff(first) < 0).any():
        return None
    points = np.arange(len(operator))
    weight = np.where(last > first, operator[points, last], 0)
    return Taps(first.astype(np.int64), weight.astype(np.float32))
