import numpy as np
import pytest

from nave.metrics.overlap import overlaps


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
