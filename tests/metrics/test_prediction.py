import json

import numpy as np
import pytest

from nave.metrics.prediction import Prediction, best_overlap, best_overlap_each, overlaps

LINE = json.loads("""{
    "image_id": "trip/beach", "width": 40, "height": 30, "k": 5, "clusters": 5, "inertia": 1.5,
    "box": [1, 2, 30, 20],
    "components": [
        {"cluster": 3, "area": 400, "score": 0.5, "box": [1, 2, 30, 20], "inner_box": [2, 3, 20, 10]}
    ],
    "truth": {"boxes": [[0, 0, 9, 9.5], [1, 1, 4, 4]], "classes": ["cat", "dog"], "hard": [false, true]}
}""")


def test_reads_a_line_of_predictions():
    image = Prediction.from_line(LINE)
    assert image.image_id == "trip/beach"
    np.testing.assert_array_equal(image.box, [1, 2, 30, 20])
    np.testing.assert_array_equal(image.boxes, [[1, 2, 30, 20]])
    np.testing.assert_array_equal(image.inner_boxes, [[2, 3, 20, 10]])
    np.testing.assert_array_equal(image.scores, [0.5])
    np.testing.assert_array_equal(image.truth.boxes, [[0, 0, 9, 9.5], [1, 1, 4, 4]])
    assert (image.truth.classes, image.truth.hard) == (("cat", "dog"), (False, True))


def test_reads_an_image_without_component_box_or_truth():
    image = Prediction.from_line({**LINE, "box": None, "components": [], "truth": None})
    assert image.box is None
    assert image.truth is None
    assert (image.boxes.shape, image.inner_boxes.shape, image.scores.shape) == ((0, 4), (0, 4), (0,))


def test_no_object_is_not_unknown_truth():
    image = Prediction.from_line({**LINE, "truth": {"boxes": [], "classes": [], "hard": []}})
    assert image.truth.boxes.shape == (0, 4)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"box": [1, 2, 3]}, "needs four numbers"),
        ({"box": [5, 2, 3, 9]}, "needs x1 <= x2"),
        ({"box": [1, 2, 3, float("nan")]}, "must be finite"),
        ({"box": 7}, "trip/beach"),
        ({"components": [{"box": [0, 0, 1, 1]}]}, "has no key 'inner_box'"),
        (
            {"truth": {"boxes": [[0, 0, 1, 1]], "classes": [], "hard": [False]}},
            "1 boxes, 0 classes, 1 hard",
        ),
    ],
)
def test_a_malformed_line_names_the_image(wrong, message):
    with pytest.raises(ValueError, match=message) as caught:
        Prediction.from_line({**LINE, **wrong})
    assert "trip/beach" in str(caught.value)


def test_hand_worked_half_open_boxes():
    boxes, others = np.array([[0.0, 0, 10, 10], [5, 5, 15, 15]]), np.array([[0.0, 0, 10, 5], [10, 0, 20, 10]])
    (iou,) = overlaps([boxes], [others])
    np.testing.assert_array_equal(iou, [[0.5, 0], [0, 25 / 175]])  # sides that touch share no pixel


def test_images_of_any_number_of_boxes_do_not_disturb_each_other():
    generator = np.random.default_rng(0)
    sizes = generator.integers(0, 6, (600, 2))
    corners = [[generator.uniform(0, 9, (count, 2, 2)) for count in pair] for pair in sizes]
    boxes, others = ([np.sort(pair[i], axis=1).reshape(-1, 4) for pair in corners] for i in (0, 1))
    together = overlaps(boxes, others)
    assert [iou.shape for iou in together] == [tuple(pair) for pair in sizes.tolist()]
    for mine, theirs, iou in zip(boxes, others, together, strict=True):
        np.testing.assert_array_equal(iou, overlaps([mine], [theirs])[0])


def test_boxes_without_area_overlap_by_nothing():
    point = np.array([[3.0, 3, 3, 3]])
    assert overlaps([point], [point])[0] == 0


@pytest.mark.parametrize("boxes", [[], [np.empty((0, 4))]])
def test_nothing_overlaps_nothing(boxes):
    assert [iou.shape for iou in overlaps(boxes, boxes)] == [(0, 0)] * len(boxes)


def test_overlaps_of_one_box_are_those_of_each_image_alone():
    line = {"image_id": "a", "box": [0, 0, 2, 2], "components": []}
    truths = [[[0, 0, 2, 4]], [[0, 0, 2, 2], [5, 5, 6, 6]], [], None]
    lines = [line | {"truth": None if boxes is None else _truth(boxes)} for boxes in truths]
    images = [Prediction.from_line(one) for one in [*lines, lines[0] | {"box": None}]]
    assert best_overlap_each(images) == [0.5, 1, None, None, None]
    assert [best_overlap(image) for image in images] == best_overlap_each(images)
    assert best_overlap_each([]) == []


def _truth(boxes):
    return {"boxes": boxes, "classes": ["x"] * len(boxes), "hard": [False] * len(boxes)}
