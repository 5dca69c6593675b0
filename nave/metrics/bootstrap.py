"""95 % intervals by resampling images (Efron's percentile bootstrap)."""

import math
from collections.abc import Callable
from typing import TypedDict

import numpy as np
from jaxtyping import Bool, Float, Int

Statistic = Callable[[Int[np.ndarray, " N"]], float]  # a metric when image i is seen counts[i] times; NaN: undefined
RESAMPLES = 1000
DIGITS = 4


class Score(TypedDict):
    """A figure in percent with its 95 % interval; all None when no image can be scored."""

    value: float | None
    low: float | None
    high: float | None
    images: int


def score(statistic: Statistic, images: int, *, seed: int = 0, value: float | None = None) -> Score:
    """A metric and its interval, rounded to a fixed number of digits: the same run writes the same bytes.

    `value` is the metric on the images as they are where another implementation reports it.
    """
    whole = statistic(np.ones(images, np.int64)) if images else math.nan
    if math.isnan(whole):
        return Score(value=None, low=None, high=None, images=images)
    low, high = interval(statistic, images, seed=seed)
    return Score(
        value=_rounded(whole if value is None else value),
        low=_rounded(low),
        high=_rounded(high),
        images=images,
    )


def interval(statistic: Statistic, images: int, *, seed: int = 0, resamples: int = RESAMPLES) -> tuple[float, float]:
    """The 2.5th and 97.5th percentile over resamples of the images with replacement.

    The resamples depend on `seed` and `images` only, so statistics of the same images see the same resamples.
    """
    generator = np.random.default_rng(seed)
    drawn = (generator.integers(images, size=images) for _ in range(resamples))
    values = [statistic(np.bincount(indices, minlength=images)) for indices in drawn]
    low, high = np.nanpercentile(values, [2.5, 97.5])
    return float(low), float(high)


def share(hits: Bool[np.ndarray, " N"]) -> Statistic:
    """Percentage of images that are hit."""
    hit = hits.astype(np.int64)
    return lambda counts: 100 * int(counts @ hit) / int(counts.sum())


def mean(values: Float[np.ndarray, " N"]) -> Statistic:
    """Mean over images of a figure between 0 and 1, in percent."""
    return lambda counts: 100 * float(np.sum(counts * values)) / int(counts.sum())


def _rounded(value: float) -> float:
    return round(value, DIGITS) + 0.0  # no negative zero
