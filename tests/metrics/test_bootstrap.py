import math

import numpy as np
import pytest
from scipy import stats

from nave.metrics.bootstrap import hit_rate, interval, mean, per_resample, score


def test_a_hit_rate_is_a_percentage_of_weighted_images():
    hits = hit_rate(np.array([True, False, True]))
    assert hits(np.array([[1, 1, 1], [0, 3, 0]])) == pytest.approx([200 / 3, 0])


def test_interval_equals_scipys_percentile_bootstrap():
    values = np.random.default_rng(0).random(200)
    low, high = interval(mean(values), 200, resamples=4000)
    theirs = stats.bootstrap((100 * values,), np.mean, n_resamples=4000, method="percentile", rng=1)
    assert (low, high) == pytest.approx(tuple(theirs.confidence_interval), abs=0.4)


def test_interval_of_a_hit_rate_is_the_binomials():
    hits = np.arange(100) < 62
    low, high = interval(hit_rate(hits), 100)
    assert (low, high) == pytest.approx((52, 71), abs=1.5)


def test_score_is_rounded_and_deterministic():
    values = mean(np.random.default_rng(0).random(50))
    first = score(values, 50, seed=3)
    assert first == score(values, 50, seed=3)
    assert first != score(values, 50, seed=4)
    assert all(round(first[key], 4) == first[key] for key in ("value", "low", "high"))


@pytest.mark.parametrize(
    ("statistic", "images"), [(per_resample(lambda _: 1.0), 0), (per_resample(lambda _: math.nan), 3)]
)
def test_an_undefined_figure_is_none(statistic, images):
    assert score(statistic, images) == {"value": None, "low": None, "high": None, "images": images}


def test_resamples_without_a_figure_are_left_out():
    values = np.array([1.0, 0.0])
    low, high = interval(per_resample(lambda counts: math.nan if counts[0] == 0 else float(counts @ values)), 2)
    assert (low, high) == (1, 2)


def test_zero_has_no_sign():
    assert str(score(per_resample(lambda _: -1e-9), 2)["value"]) == "0.0"
