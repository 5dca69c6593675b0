"""95 % intervals by resampling images (Efron's percentile bootstrap)."""

import math
from collections.abc import Callable
from typing import TypedDict

import numpy as np
from jaxtyping import Bool, Float, Int

Counts = Int[np.ndarray, " N"]  # how often each image occurs in a resample
Statistic = Callable[[Int[np.ndarray, "R N"]], Float[np.ndarray, " R"]]  # of every resample; NaN: undefined
RESAMPLES = 1000
CHUNK = 20_000  # counts at a time, which fit the processor's cache
DIGITS = 4


class Score(TypedDict):
    """A figure in percent with its 95 % interval; all None if it is undefined."""

    value: float | None
    low: float | None
    high: float | None
    images: int


def score(statistic: Statistic, images: int, *, seed: int = 0) -> Score:
    """Computes a figure and its interval, rounded so that the same run writes the same bytes.

    Args:
        statistic: the figure of every resample.
        images: number of images.
        seed: of the resamples.
    """
    whole = float(statistic(np.ones((1, images), np.int64))[0]) if images else math.nan
    if math.isnan(whole):
        return Score(value=None, low=None, high=None, images=images)
    low, high = interval(statistic, images, seed=seed)
    return Score(value=_round(whole), low=_round(low), high=_round(high), images=images)


def interval(statistic: Statistic, images: int, *, seed: int = 0, resamples: int = RESAMPLES) -> tuple[float, float]:
    """Returns the 2.5th and 97.5th percentile over resamples of the images with replacement.

    The resamples depend on ``seed`` and ``images`` only, so statistics of the same images use the same resamples.
    """
    generator = np.random.default_rng(seed)
    chunk = max(1, CHUNK // images)
    sizes = [min(chunk, resamples - first) for first in range(0, resamples, chunk)]
    values = np.concatenate([statistic(_draw(generator, size, images)) for size in sizes])
    low, high = np.nanpercentile(values, [2.5, 97.5])
    return float(low), float(high)


def hit_rate(hits: Bool[np.ndarray, " N"]) -> Statistic:
    """Percentage of images with a hit."""
    ones = hits.astype(np.int64)
    return lambda counts: 100 * (counts @ ones) / counts.sum(axis=1)


def mean(values: Float[np.ndarray, " N"]) -> Statistic:
    """Mean over images of values between 0 and 1, in percent."""
    return lambda counts: 100 * (counts * values).sum(axis=1) / counts.sum(axis=1)


def per_resample(figure: Callable[[Counts], float]) -> Statistic:
    """Statistic of a figure that is computed for one resample at a time."""
    return lambda resamples: np.array([figure(counts) for counts in resamples])


def _draw(generator: np.random.Generator, resamples: int, images: int) -> Int[np.ndarray, "R N"]:
    """Draws as many images as there are with replacement, and counts how often each occurs."""
    indices = generator.integers(images, size=(resamples, images)) + images * np.arange(resamples)[:, None]
    return np.bincount(indices.ravel(), minlength=resamples * images).reshape(resamples, images)


def _round(value: float) -> float:
    return round(value, DIGITS) + 0.0  # no negative zero
