"""Which component is the object: a score that needs no ground truth."""

import numpy as np
from jaxtyping import Float, Float64, Int32


def objectness(
    ids: Int32[np.ndarray, "H W"], count: int, *, sigma: float, border_penalty: float
) -> Float64[np.ndarray, " count"]:
    """Share of a centred Gaussian that each component holds, minus ``border_penalty`` times its share of the rim.

    Photographers centre their subject, and background runs along the image's rim. ``ids`` is 0 where there is no
    component and ``i + 1`` on component ``i``; ``sigma`` is the Gaussian's deviation in shares of the image's sides.
    """
    prior = centred_gaussian(ids.shape, sigma)
    centred = np.bincount(ids.ravel(), prior.ravel(), minlength=count + 1)
    rim = np.concatenate([ids[0], ids[-1], ids[1:-1, 0], ids[1:-1, -1]])
    touching = np.bincount(rim, minlength=count + 1) / len(rim)
    scores: Float64[np.ndarray, " count"] = (centred - border_penalty * touching)[1:]
    return scores


def centred_gaussian(size: tuple[int, ...], sigma: float) -> Float[np.ndarray, "H W"]:
    """A Gaussian over the image's ``(height, width)`` that sums to 1."""
    y, x = (np.exp(-0.5 * (((np.arange(side) + 0.5) / side - 0.5) / sigma) ** 2) for side in size)
    prior = y[:, None] * x
    weights: Float[np.ndarray, "H W"] = prior / prior.sum()
    return weights
