import math

import numpy as np
import pytest
from scipy import stats

from nave.metrics.bootstrap import each, interval, mean, score, share


def test_a_share_is_a_percentage_of_weighted_images():
    hits = share(np.array([True, False, True]))
    assert hits(np.array([[1, 1, 1], [0, 3, 0]])) == pytest.approx([200 / 3, 0])


def test_interval_equals_scipys_percentile_bootstrap():
    values = np.random.default_rng(0).random(200)
    low, high = interval(mean(values), 200, resamples=4000)
    theirs = stats.bootstrap((100 * values,), np.mean, n_resamples=4000, method="percentile", rng=1)
    assert (low, high) == pytest.approx(tuple(theirs.confidence_interval), abs=0.4)


def test_interval_of_a_share_is_the_binomials():
    hits = np.arange(100) < 62
    low, high = interval(share(hits), 100)
    assert (low, high) == pytest.approx((52, 71), abs=1.5)  # LOST's 62 of 100: METHOD says about +-8 on 153 images


def test_score_is_rounded_and_deterministic():
    values = mean(np.random.default_rng(0).random(50))
    first = score(values, 50, seed=3)
    assert first == score(values, 50, seed=3)
    assert first != score(values, 50, seed=4)
    assert all(round(first[key], 4) == first[key] for key in ("value", "low", "high"))


def test_score_reports_the_figure_of_another_implementation():
    assert score(each(lambda _: 12.0), 5, value=12.000001) == {
        "value": 12.0,
        "low": 12.0,
        "high": 12.0,
        "images": 5,
    }


@pytest.mark.parametrize(("statistic", "images"), [(each(lambda _: 1.0), 0), (each(lambda _: math.nan), 3)])
def test_an_undefined_figure_is_none(statistic, images):
    assert score(statistic, images) == {"value": None, "low": None, "high": None, "images": images}


def test_resamples_without_a_figure_are_left_out():
    values = np.array([1.0, 0.0])
    low, high = interval(each(lambda counts: math.nan if counts[0] == 0 else float(counts @ values)), 2)
    assert (low, high) == (1, 2)


def test_a_difference_of_nothing_has_no_sign():
    assert str(score(each(lambda _: -1e-9), 2)["value"]) == "0.0"
