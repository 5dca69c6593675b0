import numpy as np
import pytest

from nave.comparison.concepts import box_overlaps, found_at, mask_overlap
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
    assert box_overlaps(one) == mask_overlap(one) == {}
    one["truth"] = {"boxes": [], "classes": [], "hard": []}
    assert box_overlaps(one) == {}


def test_masks_count_where_one_class_is_shown_alone():
    one = line("one", 0, 3, (60, 80), truth=True)
    one["segmentation"] = {"classes": [0, 7], "pixels": [[50, 10], [0, 30], [9, 0]]}
    one["truth"]["classes"] = ["dog"]
    assert mask_overlap(one) == {"dog": pytest.approx(30 / 40), "any": pytest.approx(30 / 40)}
    one["truth"]["classes"] = ["dog", "cat"]
    assert mask_overlap(one) == {}


@pytest.mark.parametrize(
    ("shares", "ks"),
    [({10: 40, 3: 20, 5: 60}, (5,)), ({3: 90, 5: 40, 10: 70}, (3, 10)), ({3: 10}, ()), ({3: 50}, (3,)), ({}, ())],
)
def test_a_concept_is_there_at_half_of_its_images(shares, ks):
    assert found_at(shares) == ks
