"""Against scikit-learn, on the same pixels."""

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score
from sklearn.metrics.cluster import contingency_matrix

from nave.metrics.segmentation import (
    Means,
    adjusted_rand,
    best_overlaps,
    contingency,
    contingency_scores,
    normalised_mutual_information,
)


def scores(labels, truth):
    return contingency_scores(contingency(labels, truth))


def literal_best(labels, truth, region):
    """The best IoU of one region by sets of pixels, void pixels left out of both."""
    valid = {(y, x) for y, x in np.ndindex(truth.shape) if truth[y, x] != 255}
    pixels = {(y, x) for y, x in valid if truth[y, x] == region}
    clusters = [{(y, x) for y, x in valid if labels[y, x] == cluster} for cluster in np.unique(labels)]
    return max(len(pixels & cluster) / len(pixels | cluster) for cluster in clusters)


def check_best_overlaps(seed):
    generator = np.random.default_rng(seed)
    shape = generator.integers(1, 7, 2)
    labels, truth = generator.integers(0, 4, shape), generator.choice([0, 1, 2, 15, 255], shape)
    regions = [int(region) for region in np.unique(truth) if region != 255]
    if not regions:
        assert scores(labels, truth) == {"miou": None, "ari": None, "nmi": None}
        return
    expected = {region: literal_best(labels, truth, region) for region in regions}
    counts = contingency(labels, truth)
    assert dict(zip(counts.regions.tolist(), best_overlaps(counts).tolist(), strict=True)) == expected
    objects = [value for region, value in expected.items() if region != 0]
    assert scores(labels, truth)["miou"] == (np.mean(objects) if objects else None)


@pytest.mark.slow
def test_best_overlap_equals_sets_of_pixels_on_a_thousand_maps():
    for seed in range(1000):
        check_best_overlaps(seed)


@pytest.mark.parametrize("seed", range(1000, 1050))
def test_best_overlap_equals_sets_of_pixels(seed):
    check_best_overlaps(seed)


def test_hand_worked_map():
    labels = np.array([[0, 0, 1, 1], [0, 0, 1, 1]])
    truth = np.array([[0, 255, 1, 1], [0, 0, 1, 0]])
    # cluster 1 holds the object's three pixels and one of background
    assert scores(labels, truth)["miou"] == 3 / 4


def test_a_perfect_map_whatever_its_ids():
    truth = np.array([[0, 0, 7], [0, 9, 7]])
    assert scores((truth * 3) % 10, truth) == {"miou": 1, "ari": 1, "nmi": 1}


def mean_scores(images):
    means = Means()
    for image in images:
        means.add(image)
    return means.scores()


def test_means_over_images_leave_out_undefined_values():
    images = [{"miou": 0.5, "ari": 1.0}, {"miou": None, "ari": 0.0}, {"miou": 1.0, "ari": 0.5}]
    got = mean_scores(images)
    assert {name: (figure["value"], figure["images"]) for name, figure in got.items()} == {
        "miou": (75, 2),
        "ari": (50, 3),
    }
    assert got["ari"]["low"] < 50 < got["ari"]["high"]


def test_a_figure_that_no_image_has_is_none():
    assert mean_scores([{"miou": None}]) == {"miou": {"value": None, "low": None, "high": None, "images": 0}}


def check_agreement(seed):
    generator = np.random.default_rng(seed)
    shape = generator.integers(1, 7, 2)
    truth = generator.choice([0, 1, 7, 255], shape)
    labels = np.where(generator.random(shape) < generator.random(), truth % 5, generator.integers(0, 5, shape))
    counts = contingency(labels, truth)
    a, b = labels[truth != 255], truth[truth != 255]
    assert counts.regions.tolist() == np.unique(b).tolist()
    if a.size:
        np.testing.assert_array_equal(counts.table[counts.table.any(axis=1)], contingency_matrix(a, b))
        assert adjusted_rand(counts.table) == pytest.approx(adjusted_rand_score(b, a), abs=1e-12)
        expected = normalized_mutual_info_score(b, a)
        assert normalised_mutual_information(counts.table) == pytest.approx(expected, abs=1e-9)


@pytest.mark.slow
def test_equals_scikit_learn_on_a_thousand_maps():
    for seed in range(1000):
        check_agreement(seed)


@pytest.mark.parametrize("seed", range(1000, 1050))
def test_equals_scikit_learn_on_valid_pixels(seed):
    check_agreement(seed)


@pytest.mark.parametrize("maps", [(1, 1), (1, 3), (3, 1)])
def test_single_regions_agree_with_scikit_learn(maps):
    a, b = (np.arange(12).reshape(3, 4) % count for count in maps)
    table = contingency(a, b).table
    assert adjusted_rand(table) == adjusted_rand_score(b.ravel(), a.ravel())
    assert normalised_mutual_information(table) == normalized_mutual_info_score(b.ravel(), a.ravel())


def test_a_large_photograph_does_not_overflow():
    table = np.full((2, 2), 6_000_000)  # independent halves of 24 megapixels
    assert adjusted_rand(table) == pytest.approx(0, abs=1e-6)
    assert adjusted_rand(np.diag(table.sum(axis=1))) == 1


def test_maps_of_two_sizes_are_refused():
    with pytest.raises(ValueError, match=r"labels are \(2, 3\), the truth is \(3, 2\)"):
        contingency(np.zeros((2, 3), np.int64), np.zeros((3, 2), np.int64))


def test_negative_ids_are_refused():
    with pytest.raises(ValueError, match="negative ids: labels start at -1"):
        contingency(np.full((2, 2), -1), np.zeros((2, 2), np.int64))
