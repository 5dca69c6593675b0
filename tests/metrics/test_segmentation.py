import numpy as np
import pytest

from nave.metrics import mean_scores, segmentation_scores
from nave.metrics.contingency import contingency
from nave.metrics.segmentation import best_overlaps


def literal_best(labels, truth, region):
    """The best IoU of one region by sets of pixels, void pixels struck from both."""
    valid = {(y, x) for y, x in np.ndindex(truth.shape) if truth[y, x] != 255}
    pixels = {(y, x) for y, x in valid if truth[y, x] == region}
    clusters = [{(y, x) for y, x in valid if labels[y, x] == cluster} for cluster in np.unique(labels)]
    return max(len(pixels & cluster) / len(pixels | cluster) for cluster in clusters)


def check(seed):
    generator = np.random.default_rng(seed)
    shape = generator.integers(1, 7, 2)
    labels, truth = generator.integers(0, 4, shape), generator.choice([0, 1, 2, 15, 255], shape)
    regions = [int(region) for region in np.unique(truth) if region != 255]
    if not regions:
        assert segmentation_scores(labels, truth) == {"miou": None, "ari": None, "nmi": None}
        return
    expected = {region: literal_best(labels, truth, region) for region in regions}
    counts = contingency(labels, truth)
    assert dict(zip(counts.regions.tolist(), best_overlaps(counts).tolist(), strict=True)) == expected
    objects = [value for region, value in expected.items() if region != 0]
    assert segmentation_scores(labels, truth)["miou"] == (np.mean(objects) if objects else None)


@pytest.mark.slow
def test_best_overlap_equals_sets_of_pixels_on_a_thousand_maps():
    for seed in range(1000):
        check(seed)


@pytest.mark.parametrize("seed", range(1000, 1050))
def test_best_overlap_equals_sets_of_pixels(seed):
    check(seed)


def test_hand_worked_map():
    labels = np.array([[0, 0, 1, 1], [0, 0, 1, 1]])
    truth = np.array([[0, 255, 1, 1], [0, 0, 1, 0]])
    # cluster 1 holds the object's three pixels and one of background
    assert segmentation_scores(labels, truth)["miou"] == 3 / 4


def test_a_perfect_map_whatever_its_ids():
    truth = np.array([[0, 0, 7], [0, 9, 7]])
    assert segmentation_scores((truth * 3) % 10, truth) == {"miou": 1, "ari": 1, "nmi": 1}


def test_means_over_images_leave_out_what_is_undefined():
    images = [{"miou": 0.5, "ari": 1.0}, {"miou": None, "ari": 0.0}, {"miou": 1.0, "ari": 0.5}]
    got = mean_scores(images)
    assert {name: (figure["value"], figure["images"]) for name, figure in got.items()} == {
        "miou": (75, 2),
        "ari": (50, 3),
    }
    assert got["ari"]["low"] < 50 < got["ari"]["high"]


def test_a_figure_that_no_image_has_is_none():
    assert mean_scores([{"miou": None}]) == {"miou": {"value": None, "low": None, "high": None, "images": 0}}
