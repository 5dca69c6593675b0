"""The kinds of misses, and the ingredients of the head, on maps whose answer is known."""

import numpy as np
import pytest

from experiments.one_box.failures import ELSEWHERE, MORE, PART, SEVERAL, kind
from experiments.one_box.ingredients import by_head, by_prior, instances, of_clusters, of_head
from experiments.one_box.tables import hits, paired, shares
from nave.localization.instances import Grid
from nave.localization.objectness import Objectness, border_shares, one_box


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        ((0, 0, 100, 50), SEVERAL),
        ((0, 0, 20, 10), PART),
        ((0, 0, 60, 100), MORE),
        ((60, 60, 100, 100), ELSEWHERE),
        ((30, 30, 100, 100), ELSEWHERE),  # a corner of an object, and mostly what is none
    ],
)
def test_a_miss_is_sorted_by_what_lies_in_the_box(box: tuple[int, ...], expected: str) -> None:
    assert kind(box, [(0, 0, 40, 40), (60, 0, 100, 40)]) == expected


def test_of_two_shifted_boxes_the_larger_share_decides() -> None:
    assert kind((0, 0, 30, 10), [(8, 0, 40, 10)]) == PART
    assert kind((0, 0, 32, 10), [(10, 0, 40, 10)]) == MORE


@pytest.fixture
def grid() -> Grid:
    """Two hills joined by a saddle above 0, the right one at the side of the image, the left one at its centre."""
    logits = np.full((20, 30), -2.0)
    logits[8:12, 12:17] = 3.0
    logits[8:12, 17:25] = 1.0
    logits[6:14, 25:30] = 3.5
    return Grid((80, 120), (4.0, 4.0), logits)


NONE = np.zeros((20, 30), np.uint8)  # the labels, where they do not matter


def test_instances_part_what_the_heads_map_joins(grid: Grid) -> None:
    (joined,), (parted,) = of_head(grid, NONE), instances(grid, NONE)
    assert np.unique(joined).tolist() == [-1, 0]
    assert np.unique(parted).tolist() == [-1, 0, 1]


def test_the_head_judges_by_what_it_sees_and_the_prior_by_the_place(grid: Grid) -> None:
    (regions,) = instances(grid, NONE)
    extents, seen = by_head(grid, regions, smallest=3.0)
    same, placed = by_prior(Objectness(sigma=0.25, border_penalty=2.0))(grid, regions, smallest=3.0)
    np.testing.assert_array_equal(extents, same)
    assert extents[seen.argmax()].tolist()[2] == 30
    assert extents[placed.argmax()].tolist()[0] == 12


def test_too_small_regions_are_no_candidates(grid: Grid) -> None:
    (regions,) = instances(grid, NONE)
    for judge in (by_head, by_prior(Objectness(sigma=0.25, border_penalty=2.0))):
        assert [len(part) for part in judge(grid, regions, 1000.0)] == [0, 0]


@pytest.mark.parametrize("seed", range(5))
def test_clusters_judged_by_the_prior_are_todays_rule(seed: int) -> None:
    """Where no pair of clusters is better than a single one, whose border counts as that of its region."""
    generator, objectness = np.random.default_rng(seed), Objectness(sigma=0.25, border_penalty=2.0)
    labels = np.zeros((20, 30), np.uint8)
    x, y = generator.integers(2, 12), generator.integers(2, 8)
    labels[y : y + 9, x : x + 12] = 1
    grid = Grid((20, 30), (1.0, 1.0), np.zeros((20, 30)))
    judged = [by_prior(objectness)(grid, regions, 4.0) for regions in of_clusters(grid, labels)]
    extents, scores = (np.concatenate(parts) for parts in zip(*judged, strict=True))
    expected = one_box(labels, border_shares(labels, 2), objectness, 4)
    assert tuple(extents[scores.argmax()].tolist()) == expected


def test_lines_pool_the_images_of_all_sets_and_average_the_sets() -> None:
    ours = hits({"one": {"a": 0.5, "b": 0.2, "c": None}, "other": {"a": 0.9}})
    theirs = hits({"one": {"a": 0.1, "b": 0.2, "c": None}, "other": {"a": 0.9}})
    values = {heading: score["value"] for heading, score in shares("ours", ours).scores.items()}
    assert values == {
        "one (2)": 50,
        "other (1)": 100,
        "all images (3)": pytest.approx(66.67, abs=0.01),
        "mean of the sets": 75,
    }
    gains = paired("gain", ours, theirs).scores
    assert [gains[heading]["value"] for heading in ("one (2)", "other (1)", "mean of the sets")] == [50, 0, 25]
