"""Instances on drawn maps of logits."""

import numpy as np
import pytest
from scipy import ndimage

from nave.localization.basins import Parts
from nave.localization.foreground import Foreground
from nave.localization.instances import LEVELS, MOST, SAME, VOTES, Grid, detect, distinct, scan, totals, voted
from nave.localization.regions import Regions
from nave.metrics.prediction import overlaps


def hills(*centres: tuple[int, int], size: tuple[int, int] = (20, 30), width: float = 2.5) -> np.ndarray:
    """Logits with a peak of 3 at every centre on a ground of -3."""
    y, x = np.mgrid[: size[0], : size[1]]
    peaks = [np.exp(-((y - row) ** 2 + (x - column) ** 2) / (2 * width**2)) for row, column in centres]
    return 6 * np.max(peaks, axis=0) - 3


def judged(logits: np.ndarray, patch: float = 4.0) -> Foreground:
    return Foreground(np.rint(logits * 16).astype(np.int8), (patch, patch))


def test_the_grid_interpolates_inside_the_image() -> None:
    grid = Grid.of(judged(np.array([[0.0, 1.0], [2.0, 3.0]]), 14.0), (20, 28))
    assert grid.cell == (3.5, 3.5)
    assert grid.logits.shape == (6, 8)
    assert grid.logits[0, 0] == 0.0
    np.testing.assert_allclose(np.diff(grid.logits[0, 2:6]), 0.25)
    assert grid.boxes(np.array([[0, 1, 8, 6]])).tolist() == [[0, 4, 28, 20]]


def test_scores_are_those_of_a_scan_statistic() -> None:
    regions = Regions.of(np.array([[0, 0, 2], [1, 1, 1]], np.uint8))
    confidence = np.arange(6, dtype=np.float64).reshape(2, 3) / 6
    sums = totals(regions, confidence)
    np.testing.assert_allclose(sums, [1 / 6, 2 / 6, 12 / 6])
    scores = scan(Parts(regions.boxes, regions.area, sums), 6)
    np.testing.assert_allclose(
        scores, [(1 / 36) / np.sqrt(2 / 6), (2 / 36) / np.sqrt(1 / 6), (12 / 36) / np.sqrt(3 / 6)]
    )


@pytest.mark.parametrize("seed", range(3))
def test_rivals_are_the_parts_of_a_literal_search(seed: int) -> None:
    random = np.random.default_rng(seed)
    logits = ndimage.gaussian_filter(random.normal(size=(12, 18)), 1.5) * 6
    labels = ndimage.gaussian_filter(random.normal(size=(48, 72)), 4) > 0
    judgement = judged(logits)
    grid = Grid.of(judgement, (48, 72))
    fine = grid.at_points(labels.astype(np.uint8))
    masks = [grid.logits > level for level in LEVELS] + [fine == 0, fine == 1, fine >= 0]
    found = {box for box, _ in detect(labels.astype(np.uint8), judgement, 0)}
    boxes = []
    for mask in masks:
        for rows, columns in ndimage.find_objects(ndimage.label(mask)[0]):
            boxes.append([columns.start * 4, rows.start * 4, columns.stop * 4, rows.stop * 4])
    (shared,) = overlaps([np.array(boxes, float)], [np.array(sorted(found), float)])
    assert (shared.max(axis=1) >= SAME).all()  # itself, or a better one with which it nearly coincides


def test_instances_come_first_and_do_not_coincide_with_rivals() -> None:
    found = detect(np.zeros((80, 120), np.uint8), judged(hills((10, 8), (10, 19))), 16)
    boxes = np.array([box for box, _ in found], np.float64)
    scores = [score for _, score in found]
    assert scores == sorted(scores, reverse=True)
    first, second = boxes[:2]
    assert sum(score > 0 for score in scores) == 2
    assert first[2] <= second[0] or second[2] <= first[0]
    (shared,) = overlaps([boxes], [boxes])
    assert shared[~np.eye(len(boxes), dtype=bool)].max() < SAME


@pytest.mark.parametrize("seed", range(5))
def test_a_box_is_the_mean_of_those_that_overlap_it_and_score(seed: int) -> None:
    random = np.random.default_rng(seed)
    corners = random.integers(0, 8, (30, 2))
    boxes = np.concatenate([corners, corners + random.integers(8, 14, (30, 2))], axis=1)
    scores = random.normal(size=30)
    scores[0] = 1.0
    (shared,) = overlaps([boxes[:1].astype(float)], [boxes.astype(float)])
    voters = (shared[0] >= VOTES) & (scores > 0)
    expected = np.average(boxes[voters], axis=0, weights=scores[voters])
    assert voters.sum() > 1
    assert voted(boxes, scores, 0).tolist() == np.rint(expected).astype(int).tolist()


def test_rivals_vote_for_the_box_of_the_best_instance_alone() -> None:
    labels = np.zeros((80, 120), np.uint8)
    labels[32:52, 20:40] = 1  # within the instance at the left
    judgement = judged(hills((10, 7), (10, 23)) + np.linspace(1, 0, 30))
    alone, both = (detect(map_, judgement, 16) for map_ in (np.zeros_like(labels), labels))
    assert [score for _, score in both[:2]] == [score for _, score in alone[:2]]
    assert both[1][0] == alone[1][0]
    (x1, y1, x2, y2), (a1, b1, a2, b2) = both[0][0], alone[0][0]
    assert (x1 >= a1, y1 >= b1, x2 <= a2, y2 <= b2) == (True,) * 4
    assert both[0][0] != alone[0][0]


def test_without_foreground_there_is_no_instance() -> None:
    labels = np.zeros((80, 120), np.uint8)
    labels[20:60, 30:70] = 1
    found = detect(labels, judged(np.full((20, 30), -2.0)), 16)
    assert found
    assert all(score < 0 for _, score in found)
    assert (28, 20, 68, 60) in {box for box, _ in found}


def test_at_most_so_many_boxes_stay() -> None:
    corners = np.arange(300)[:, None] * [10, 0] + [0, 0]
    boxes = np.concatenate([corners, corners + 5], axis=1)
    assert distinct(boxes, -np.arange(300.0)) == list(range(MOST))
