"""One figure of several trainings that differ in their seed alone: Student's interval, for there are few."""

from collections.abc import Sequence

import numpy as np
from scipy.stats import t

from nave.metrics.bootstrap import DIGITS, Score


def over_seeds(values: Sequence[float], images: int) -> Score:
    """Mean of one figure a seed with its 95 % interval (Student's t, n - 1 degrees of freedom).

    What varies between images is in it as far as each seed's own mean over ``images`` carries it. The interval of a
    difference: give the differences, seed by seed.

    Raises:
        ValueError: for fewer than two seeds.
    """
    if len(values) < 2:
        raise ValueError(f"{len(values)} seed: an interval over seeds needs two at least")
    mean, error = np.mean(values), np.std(values, ddof=1) / np.sqrt(len(values))
    half = t.ppf(0.975, len(values) - 1) * error
    low, high = (round(float(mean + sign * half), DIGITS) for sign in (-1, 1))
    return Score(value=round(float(mean), DIGITS), low=low, high=high, images=images)
