import numpy as np
import pytest
from scipy.stats import binomtest, ttest_1samp

from nave.comparison.rows import Row, average, difference, over_seeds, present_by_run
from nave.metrics.bootstrap import Score


def test_pairing_removes_what_images_share():
    hardness = np.random.default_rng(0).uniform(0, 0.8, 200)
    noise = np.random.default_rng(1).normal(0, 1e-4, 200)
    ours = {str(i): x + 0.1 for i, x in enumerate(hardness + noise)}
    gain = difference(ours, {str(i): x for i, x in enumerate(hardness)})
    assert [gain["value"], gain["low"], gain["high"]] == pytest.approx([10, 10, 10], abs=3e-3)
    assert average("mask_overlap", ours)["high"] - average("mask_overlap", ours)["low"] > 5


def test_a_difference_that_is_the_same_everywhere_has_no_interval():
    gain = difference({"a": 1.0, "b": 1.0}, {"a": 1.0, "b": 1.0})
    assert gain == {"value": 0, "low": None, "high": None, "images": 2}


def test_seeds_that_agree_have_no_interval():
    assert over_seeds([100.0, 100.0, 100.0], 10) == {"value": 100, "low": None, "high": None, "images": 10}


@pytest.mark.parametrize("quantity", ["mask_found", "box_found", "saturation"])
@pytest.mark.parametrize("hits", [0, 2, 3])
def test_a_share_of_images_has_wilsons_interval(quantity, hits):
    found = average(quantity, {str(i): float(i < hits) for i in range(3)})
    reference = binomtest(hits, 3).proportion_ci(method="wilson")
    assert (found["low"], found["high"]) == pytest.approx((100 * reference.low, 100 * reference.high), abs=1e-4)


def test_images_of_one_run_alone_do_not_count():
    assert difference({"a": 1.0, "b": 0.0}, {"b": 0.5, "c": 1.0}) | {"low": 0, "high": 0} == {
        **{"value": -50, "low": 0, "high": 0, "images": 1}
    }
    assert difference({"a": 1.0}, {"b": 1.0})["value"] is None


def test_seeds_have_students_interval():
    values = [3.0, 4.5, 5.0, 9.0]
    score, reference = over_seeds(values, 10), ttest_1samp(values, 0).confidence_interval()
    assert (score["low"], score["high"]) == pytest.approx((reference.low, reference.high), abs=1e-4)
    assert score["value"] == pytest.approx(np.mean(values))
    with pytest.raises(ValueError, match="1 seed"):
        over_seeds([1.0], 10)


@pytest.mark.parametrize(
    ("shares", "ks"),
    [({10: 40, 3: 20, 5: 60}, (5,)), ({3: 90, 5: 40, 10: 70}, (3, 10)), ({3: 10}, ()), ({3: 50}, (3,))],
)
def test_a_concept_is_present_at_half_of_its_images(shares, ks):
    found = {k: Score(value=share, low=None, high=None, images=10) for k, share in shares.items()}
    rows = [Row("mask_found", "cat", "run", str(k), "", score) for k, score in found.items()]
    assert present_by_run(rows, "mask_found") == {("cat", "run"): ks}
