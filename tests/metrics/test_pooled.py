"""Class mIoU of a run from counts, against the same from the maps themselves."""

import numpy as np
import pytest
import torch

from nave.metrics import MatchedClassIoU, group_centroids
from nave.metrics.contingency import contingency
from nave.metrics.pooled import Described, class_miou


def made(seed, count=12, k=4, groups=5):
    """Maps, masks and centroids of images whose clusters come from `groups` distinct concepts."""
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
        yield Described(centroids, tuple(counts.regions.tolist()), counts.table)


def grouped(images, groups):
    grouping = group_centroids((centroids for *_, centroids in images), groups=groups)
    return [
        (torch.from_numpy(grouping.predict(centroids)[labels]), torch.from_numpy(mask))
        for labels, mask, centroids in images
    ]


def from_maps(maps, groups):
    metric = MatchedClassIoU(groups=groups, classes=8)
    for labels, mask in maps:
        metric.update(labels, mask)
    return 100 * metric.compute().miou


@pytest.mark.parametrize("seed", range(10))
def test_equals_the_metric_on_maps(seed):
    images = made(seed)
    found = class_miou(lambda: described(images), groups=5)
    assert found["value"] == pytest.approx(from_maps(grouped(images, 5), 5), abs=1e-4)
    assert found["images"] == len(images)


@pytest.mark.usefixtures("unchecked")
def test_the_interval_resamples_images_and_matches_anew():
    images = made(3, count=5)
    maps = grouped(images, 5)
    generator = np.random.default_rng(0)
    drawn = [generator.integers(len(images), size=len(images)) for _ in range(1000)]
    values = [from_maps([maps[i] for i in places], 5) for places in drawn]
    found = class_miou(lambda: described(images), groups=5)
    assert (found["low"], found["high"]) == pytest.approx(np.percentile(values, [2.5, 97.5]).tolist(), abs=1e-3)


def test_too_few_centroids_have_no_figure():
    assert class_miou(lambda: described(made(0, count=2)), groups=21)["value"] is None


def test_nothing_but_void_has_no_figure():
    void = [(labels, np.full_like(mask, 255), centroids) for labels, mask, centroids in made(0)]
    assert class_miou(lambda: described(void), groups=5)["value"] is None


def test_no_group_is_refused():
    with pytest.raises(ValueError, match=r"evaluation\.groups=0: must be at least 1"):
        class_miou(lambda: described(made(0)), groups=0)
