"""95 % intervals by resampling images (Efron's percentile bootstrap)."""

import math
from collections.abc import Callable
from typing import TypedDict

import numpy as np
from jaxtyping import Bool, Float, Int

Counts = Int[np.ndarray, " N"]  # how often each image is seen in a resample
Statistic = Callable[[Int[np.ndarray, "R N"]], Float[np.ndarray, " R"]]  # a metric of every resample; NaN: undefined
RESAMPLES = 1000
AT_ONCE = 20_000  # counts, which stay in the processor's cache
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
    whole = float(statistic(np.ones((1, images), np.int64))[0]) if images else math.nan
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
    most = max(1, AT_ONCE // images)
    sizes = [min(most, resamples - first) for first in range(0, resamples, most)]
    values = np.concatenate([statistic(_drawn(generator, size, images)) for size in sizes])
    low, high = np.nanpercentile(values, [2.5, 97.5])
    return float(low), float(high)


def share(hits: Bool[np.ndarray, " N"]) -> Statistic:
    """Percentage of images that are hit."""
    hit = hits.astype(np.int64)
    return lambda counts: 100 * (counts @ hit) / counts.sum(axis=1)


def mean(values: Float[np.ndarray, " N"]) -> Statistic:
    """Mean over images of a figure between 0 and 1, in percent."""
    return lambda counts: 100 * (counts * values).sum(axis=1) / counts.sum(axis=1)


def each(figure: Callable[[Counts], float]) -> Statistic:
    """Of a metric that takes one resample at a time."""
    return lambda counts: np.array([figure(some) for some in counts])


def _drawn(generator: np.random.Generator, resamples: int, images: int) -> Int[np.ndarray, "R N"]:
    """As many images as there are, with replacement: how often each is seen."""
    indices = generator.integers(images, size=(resamples, images)) + images * np.arange(resamples)[:, None]
    return np.bincount(indices.ravel(), minlength=resamples * images).reshape(resamples, images)


def _rounded(value: float) -> float:
    return round(value, DIGITS) + 0.0  # no negative zero
