"""95 % intervals over images: Wilson's of a proportion, and Efron's percentile bootstrap of any other figure."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TypedDict

import numpy as np
from jaxtyping import Bool, Float, Int

Counts = Int[np.ndarray, " N"]  # how often each image occurs in a resample
Statistic = Callable[[Int[np.ndarray, "R N"]], Float[np.ndarray, " R"]]  # of every resample; NaN: undefined
RESAMPLES = 1000
CHUNK = 20_000  # counts at a time, which fit the processor's cache
DIGITS = 4
Z = 1.959963984540054  # 97.5 % quantile of the normal distribution


class Score(TypedDict):
    """A figure in percent with its 95 % interval.

    All None if the figure is undefined; ``low`` and ``high`` None if there is no interval that could be trusted.
    """

    value: float | None
    low: float | None
    high: float | None
    images: int


def score(statistic: Statistic, images: int, *, seed: int = 0) -> Score:
    """Computes a figure and its bootstrap interval, rounded so that the same run writes the same bytes.

    There is no interval if all resamples agree (a single image, equal values): it would have no width, and claim to
    know what images that were not seen are like.
    """
    return scores({"": statistic}, images, seed=seed)[""]


def scores(statistics: Mapping[str, Statistic], images: int, *, seed: int = 0) -> dict[str, Score]:
    """Computes figures of the same images as :func:`score` does; they share the resamples, which are drawn once."""
    wholes = {name: _whole(statistic, images) for name, statistic in statistics.items()}
    known = {name: statistics[name] for name, whole in wholes.items() if not math.isnan(whole)}
    ends = dict(zip(known, intervals(list(known.values()), images, seed=seed), strict=True)) if known else {}
    return {name: _score(whole, ends.get(name), images) for name, whole in wholes.items()}


def _whole(statistic: Statistic, images: int) -> float:
    return float(statistic(np.ones((1, images), np.int64))[0]) if images else math.nan


def _score(whole: float, ends: tuple[float, float] | None, images: int) -> Score:
    if ends is None:
        return Score(value=None, low=None, high=None, images=images)
    low, high = map(_round, ends)
    if low == high:
        return Score(value=_round(whole), low=None, high=None, images=images)
    return Score(value=_round(whole), low=low, high=high, images=images)


def proportion(hits: Bool[np.ndarray, " N"]) -> Score:
    """The percentage of images with a hit, with Wilson's score interval (1927); undefined without images.

    It covers 95 % at any number of images, where a bootstrap of nothing but hits has no width.
    """
    return proportion_of(int(hits.sum()), len(hits))


def proportion_of(hits: int, n: int) -> Score:
    """As :func:`proportion`, of ``hits`` among ``n`` images."""
    if n == 0:
        return Score(value=None, low=None, high=None, images=0)
    share = hits / n
    centre = (share + Z**2 / (2 * n)) / (1 + Z**2 / n)
    half = Z / (1 + Z**2 / n) * math.sqrt(share * (1 - share) / n + Z**2 / (4 * n**2))
    low, high = (_round(100 * end) for end in (centre - half, centre + half))
    return Score(value=_round(100 * share), low=low, high=high, images=n)


def intervals(
    statistics: Sequence[Statistic], images: int, *, seed: int = 0, resamples: int = RESAMPLES
) -> list[tuple[float, float]]:
    """Returns the 2.5th and 97.5th percentile of every statistic over resamples of the images with replacement.

    The resamples depend on ``seed`` and ``images`` only; some are in memory at a time, of many images one.
    """
    generator = np.random.default_rng(seed)
    chunk = max(1, CHUNK // images)
    values = np.empty((len(statistics), resamples))
    for first in range(0, resamples, chunk):
        drawn = _draw(generator, min(chunk, resamples - first), images)
        values[:, first : first + chunk] = [statistic(drawn) for statistic in statistics]
    low, high = np.nanpercentile(values, [2.5, 97.5], axis=1).tolist()
    return list(zip(low, high, strict=True))


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
