import numpy as np
import pytest
from scipy.stats import ttest_1samp

from nave.comparison.rows import average, difference, over_seeds


def test_pairing_removes_what_images_share():
    hardness = np.random.default_rng(0).uniform(0, 0.8, 200)
    ours, theirs = ({str(i): x + shift for i, x in enumerate(hardness)} for shift in (0.1, 0.0))
    gain = difference(ours, theirs)
    assert gain["value"] == gain["low"] == gain["high"] == pytest.approx(10)
    assert average(ours)["high"] - average(ours)["low"] > 5


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
