"""Against torchmetrics' Jaccard index of the renamed groups, and brute force over all matchings."""

from itertools import permutations

import numpy as np
import pytest
import torch
from sklearn.cluster import KMeans
from torchmetrics.classification import MulticlassJaccardIndex

from nave.metrics.class_iou import (
    ClusteredImage,
    _sample,
    class_miou,
    group_centroids,
    match_groups,
    sample_positions,
)
from nave.metrics.segmentation import contingency


def maps(seed, groups, classes, images=4):
    generator = torch.Generator().manual_seed(seed)
    truth = torch.randint(0, classes, (images, 9, 7), generator=generator)
    predicted = (truth + torch.randint(0, 2, truth.shape, generator=generator)) % groups
    truth[torch.rand(truth.shape, generator=generator) < 0.1] = 255
    return predicted, truth


def pooled(predicted, truth, groups, classes):
    """Valid pixels by group and class."""
    table = np.zeros((groups, classes), np.int64)
    valid = truth != 255
    np.add.at(table, (predicted[valid].numpy(), truth[valid].numpy()), 1)
    return table


@pytest.mark.parametrize("seed", range(20))
def test_equals_torchmetrics_once_groups_are_renamed(seed):
    predicted, truth = maps(seed, 5, 5)
    result = match_groups(pooled(predicted, truth, 5, 5))
    class_of = torch.tensor(result.groups).argsort()
    each = MulticlassJaccardIndex(5, average="none", ignore_index=255)(class_of[predicted], truth)
    assert result.ious == pytest.approx(tuple(each.tolist()), abs=1e-6)
    assert result.miou == pytest.approx(each.mean().item(), abs=1e-6)


@pytest.mark.parametrize("seed", range(20))
def test_no_other_matching_is_better(seed):
    predicted, truth = maps(seed, 4, 4)
    result = match_groups(pooled(predicted, truth, 4, 4))
    jaccard = MulticlassJaccardIndex(4, ignore_index=255)
    best = max(jaccard(torch.tensor(names)[predicted], truth).item() for names in permutations(range(4)))
    assert result.miou == pytest.approx(best, abs=1e-6)


def test_classes_that_do_not_occur_are_left_out_and_unmatched_ones_score_nothing():
    truth = torch.tensor([[0, 0, 1, 1, 3, 3]])
    result = match_groups(pooled(torch.tensor([[0, 0, 1, 1, 1, 1]]), truth, groups=2, classes=4))
    assert result.ious in ((1, 0.5, None, 0), (1, 0, None, 0.5))
    assert result.miou == 0.5
    assert result.groups[0] == 0


def test_a_table_without_pixels_has_no_figure():
    assert match_groups(np.zeros((2, 2), np.int64)).miou is None


def blobs(images, groups=4, dimensions=3):
    generator = np.random.default_rng(0)
    centres = 10 * generator.normal(size=(groups, dimensions))
    for _ in range(images):
        yield centres[generator.integers(0, groups, 5)] + 0.1 * generator.normal(size=(5, dimensions))


def test_equals_scikit_learn_on_all_centroids():
    fitted = group_centroids(blobs(30), groups=4, seed=2)
    expected = KMeans(4, n_init=10, random_state=2).fit(np.concatenate(list(blobs(30))))
    np.testing.assert_array_equal(fitted.cluster_centers_, expected.cluster_centers_)


def test_more_centroids_than_the_limit_are_sampled_and_form_the_same_groups():
    fitted = group_centroids(blobs(400), groups=4, limit=100)
    everything = np.concatenate(list(blobs(400)))
    whole = KMeans(4, n_init=10, random_state=0).fit(everything)
    pairs = set(zip(fitted.predict(everything).tolist(), whole.labels_.tolist(), strict=True))
    assert len(pairs) == 4  # the same groups under other names


def test_the_sample_is_uniform():
    stream = [np.arange(10.0).reshape(5, 2)] * 40
    drawn = [row.tolist() for seed in range(200) for row in _sample(stream, 20, np.random.default_rng(seed))]
    counts = [drawn.count(row) for row in stream[0].tolist()]
    assert sum(counts) == 20 * 200
    assert max(counts) - min(counts) < 150  # 800 of each expected, standard deviation 25


@pytest.mark.parametrize("centroids", [[], [np.ones((5, 2))] * 9])
def test_too_few_distinct_centroids_are_refused(centroids):
    with pytest.raises(ValueError, match="distinct centroids cannot form 21 groups"):
        group_centroids(centroids, groups=21)


def made(seed, count=12, k=4, groups=5):
    """Maps, masks and centroids of images whose clusters come from ``groups`` distinct concepts."""
    generator = np.random.default_rng(seed)
    concepts = 10 * generator.normal(size=(groups, 3))
    images = []
    for _ in range(count):
        mask = generator.choice([0, 1, 2, 7, 255], (6, 8), p=[0.3, 0.3, 0.2, 0.1, 0.1])
        labels = generator.integers(0, generator.integers(1, k + 1), (6, 8)).astype(np.uint8)
        centroids = concepts[generator.integers(0, groups, k)] + generator.normal(size=(k, 3))
        images.append((labels, mask, centroids.astype(np.float32)))
    return images


def described(images):
    for labels, mask, centroids in images:
        counts = contingency(labels, mask)
        yield ClusteredImage(centroids, tuple(counts.regions.tolist()), counts.table)


def grouped(images, groups):
    grouping = group_centroids((centroids for *_, centroids in images), groups=groups)
    return [
        (torch.from_numpy(grouping.predict(centroids)[labels]), torch.from_numpy(mask))
        for labels, mask, centroids in images
    ]


def from_maps(maps, groups):
    return 100 * match_groups(sum(pooled(labels, mask, groups, classes=8) for labels, mask in maps)).miou


@pytest.mark.parametrize("seed", range(10))
def test_equals_the_metric_on_maps(seed):
    images = made(seed)
    figure = class_miou(lambda: described(images), groups=5)
    assert figure["value"] == pytest.approx(from_maps(grouped(images, 5), 5), abs=1e-4)
    assert figure["images"] == len(images)


def test_there_is_no_interval_since_none_covers():
    figure = class_miou(lambda: described(made(3, count=5)), groups=5)
    assert (figure["low"], figure["high"]) == (None, None)


def test_too_few_centroids_have_no_figure():
    assert class_miou(lambda: described(made(0, count=2)), groups=21)["value"] is None


def test_masks_without_valid_pixels_have_no_figure():
    void = [(labels, np.full_like(mask, 255), centroids) for labels, mask, centroids in made(0)]
    assert class_miou(lambda: described(void), groups=5)["value"] is None


@pytest.mark.parametrize(("total", "limit"), [(0, 5), (5, 5), (40, 100), (5000, 30)])
def test_positions_of_a_sample_are_those_of_the_centroids_that_would_be_sampled(monkeypatch, total, limit):
    monkeypatch.setattr("nave.metrics.class_iou.CHUNK", 700)
    centroids = np.arange(total, dtype=float)[:, None]
    kept = _sample([centroids], limit, np.random.default_rng(4))
    assert sample_positions(total, limit, 4).tolist() == [int(one[0]) for one in kept]
