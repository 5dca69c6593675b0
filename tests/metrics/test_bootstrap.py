import math

import numpy as np
import pytest
from scipy import stats

from nave.data.interface import GroundTruth
from nave.metrics import average_precision
from nave.metrics.bootstrap import intervals, mean, per_resample, proportion, score, scores
from nave.metrics.prediction import Prediction


def hits_of(hits, images):
    return np.arange(images) < hits


@pytest.mark.parametrize("images", [1, 2, 3, 10, 100, 4952])
@pytest.mark.parametrize("share", [0, 0.1, 0.5, 0.62, 1])
def test_the_interval_of_a_proportion_is_wilsons(images, share):
    hits = round(share * images)
    theirs = stats.binomtest(hits, images).proportion_ci(method="wilson")
    figure = proportion(hits_of(hits, images))
    assert (figure["value"], figure["images"]) == (pytest.approx(100 * hits / images, abs=5e-5), images)
    assert (figure["low"], figure["high"]) == pytest.approx((100 * theirs.low, 100 * theirs.high), abs=1e-4)


def test_nothing_but_hits_is_not_certain():
    assert proportion(hits_of(3, 3)) == {"value": 100.0, "low": 43.8503, "high": 100.0, "images": 3}
    assert proportion(hits_of(0, 2)) == {"value": 0.0, "low": 0.0, "high": 65.7620, "images": 2}


def test_a_proportion_of_no_images_is_none():
    assert proportion(hits_of(0, 0)) == {"value": None, "low": None, "high": None, "images": 0}


@pytest.mark.parametrize("values", [[0.8], [1.0, 1.0, 1.0], [0.25] * 50])
def test_an_interval_without_width_is_none(values):
    figure = score(mean(np.array(values)), len(values))
    assert figure == {"value": 100 * values[0], "low": None, "high": None, "images": len(values)}


def test_interval_equals_scipys_percentile_bootstrap():
    values = np.random.default_rng(0).random(200)
    ((low, high),) = intervals([mean(values)], 200, resamples=4000)
    theirs = stats.bootstrap((100 * values,), np.mean, n_resamples=4000, method="percentile", rng=1)
    assert (low, high) == pytest.approx(tuple(theirs.confidence_interval), abs=0.4)


def test_interval_of_a_hit_rate_is_the_binomials():
    figure = proportion(hits_of(62, 100))
    assert (figure["low"], figure["high"]) == pytest.approx((52, 71), abs=1.5)


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
    figure = per_resample(lambda counts: math.nan if counts[0] == 0 else float(counts @ values))
    ((low, high),) = intervals([figure], 2)
    assert (low, high) == (1, 2)


def test_zero_has_no_sign():
    assert str(score(per_resample(lambda _: -1e-9), 2)["value"]) == "0.0"


def wilson_coverage(images, share):
    """The exact probability that the interval holds the share."""
    number = np.arange(images + 1)
    figures = [proportion(hits_of(hits, images)) for hits in number]
    holds = np.array([figure["low"] <= 100 * share <= figure["high"] for figure in figures])
    return float(stats.binom.pmf(number, images, share)[holds].sum())


@pytest.mark.slow
@pytest.mark.parametrize("images", [2, 3, 5, 10, 30, 100])
def test_a_proportion_is_covered_whatever_the_number_of_images(images):
    coverage = [wilson_coverage(images, share) for share in np.linspace(0.005, 0.995, 100)]
    assert np.mean(coverage) >= 0.94  # 95 % on average over shares, as is Wilson's promise
    assert np.min(coverage) >= 0.82


def covered(figures, truth):
    return np.mean([figure["low"] is not None and figure["low"] <= truth <= figure["high"] for figure in figures])


@pytest.mark.slow
@pytest.mark.parametrize(("images", "at_least"), [(5, 0.78), (20, 0.89), (100, 0.92)])
def test_a_mean_is_covered_the_better_the_more_images(images, at_least):
    generator = np.random.default_rng(0)
    figures = [score(mean(generator.beta(2, 4, images)), images) for _ in range(1000)]
    assert covered(figures, 100 / 3) >= at_least


OBJECT = GroundTruth(np.array([[0.0, 0.0, 10.0, 10.0]]), ("thing",), (False,))


def scored_image(generator, name):
    """An image with one object and three boxes; a box is right the more often the higher its score."""
    scores = generator.random(3)
    right = generator.random(3) < scores * 0.6
    boxes = np.where(right[:, None], [0.0, 0.0, 10.0, 10.0], [50.0, 50.0, 60.0, 60.0])
    return Prediction(name, boxes[0], boxes, boxes, scores, OBJECT)


def ranking(generator, images):
    matches = average_precision.matches([scored_image(generator, str(number)) for number in range(images)])
    return average_precision.ranking([matches], np.arange(images))


@pytest.mark.slow
@pytest.mark.parametrize("images", [30, 100])
def test_average_precision_is_covered(images):
    generator = np.random.default_rng(0)
    whole = 20_000
    truth = ranking(generator, whole).average_precision(np.ones(whole, np.int64))
    figures = [score(per_resample(ranking(generator, images).average_precision), images) for _ in range(200)]
    assert covered(figures, truth) >= 0.88


def test_figures_of_the_same_images_share_resamples_and_are_those_of_each_alone():
    values = np.random.default_rng(1).random((3, 50))
    undefined = per_resample(lambda _: np.nan)
    statistics = {"a": mean(values[0]), "b": mean(values[1]), "none": undefined, "c": mean(values[2])}
    assert scores(statistics, 50, seed=3) == {name: score(one, 50, seed=3) for name, one in statistics.items()}
    assert scores({"none": undefined}, 0)["none"]["value"] is None
