import numpy as np
import pytest

from nave.comparison.concepts import box_overlaps, found_at, mask_overlaps
from nave.metrics.nave_protocol import nave_hits
from nave.metrics.prediction import Prediction
from tests.report.writers import line


def test_boxes_of_a_class_take_the_best_object():
    one = line("one", 0, 3, (60, 80), truth=True)
    box = one["components"][1]["box"]
    one["truth"] = {"boxes": [box, [0, 0, 2, 2], [0, 0, 3, 3]], "classes": ["cat", "cat", "dog"], "hard": [False] * 3}
    found = box_overlaps(one)
    assert found["cat"] == found["any"] == 1
    assert found["dog"] == pytest.approx(9 / (60 * one["components"][0]["box"][2]))


def test_any_is_the_protocol_nave():
    lines = [line(str(number), number, 3, (60, 80), truth=True) for number in range(6)]
    hits = nave_hits([Prediction.from_line(one) for one in lines], inner=False)
    assert [box_overlaps(one)["any"] >= 0.5 for one in lines] == np.asarray(hits).tolist()


def test_no_truth_no_concepts():
    one = line("one", 0, 3, (60, 80), truth=False)
    assert box_overlaps(one) == mask_overlaps(one) == {}
    one["truth"] = {"boxes": [], "classes": [], "hard": []}
    assert box_overlaps(one) == {}


def test_every_named_class_of_a_mask_takes_its_best_cluster():
    one = line("one", 0, 3, (60, 80), truth=True)
    names = [None, "cat", "dog"]
    one["segmentation"] = {"classes": [0, 8, 12], "names": names, "pixels": [[50, 10, 0], [0, 30, 4], [9, 0, 1]]}
    assert mask_overlaps(one) == {"cat": pytest.approx(30 / 44), "dog": pytest.approx(4 / 35), "any": 30 / 44}
    one["segmentation"] = {"classes": [0, 100], "names": [None, None], "pixels": [[50, 10], [0, 30]]}
    assert mask_overlaps(one) == {}


@pytest.mark.parametrize(
    ("shares", "ks"),
    [({10: 40, 3: 20, 5: 60}, (5,)), ({3: 90, 5: 40, 10: 70}, (3, 10)), ({3: 10}, ()), ({3: 50}, (3,)), ({}, ())],
)
def test_a_concept_is_there_at_half_of_its_images(shares, ks):
    assert found_at(shares) == ks
