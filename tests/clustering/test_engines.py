"""Every engine on the same problems: one contract, one quality, the same maps where exactness is promised."""

import pytest
import torch
from sklearn.metrics import adjusted_rand_score

from nave.clustering.clusters import Clustering, check_k
from nave.clustering.factored import Factored
from nave.clustering.sklearn import ScikitLearn
from tests.clustering.problems import blobs, composite, of_grid, of_points, same_maps

ENGINES: dict[str, Clustering] = {"factored": Factored(), "sklearn": ScikitLearn()}
EXACT = {"factored", "sklearn"}  # Lloyd to convergence: the same maps from the same centroids
REFERENCE = ScikitLearn()


def random(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(3))


PROBLEMS = {
    "blobs": (lambda: blobs((20, 30, 14))[0], 3),
    "activations": (lambda: composite(batch=3), 5),
    "activations on two grids": (lambda: composite("two grids"), 4),
    "unit vectors": (lambda: composite(normalisation="l2"), 5),
    "authors": (lambda: composite(resolution="grid", upsampling="bicubic", normalisation="l2"), 5),
    "many clusters": (lambda: composite(batch=1, resolution="grid"), 40),
    "k=1": (composite, 1),
    "as many clusters as points": (lambda: of_points(random(6, 4)), 6),
}
DEGENERATE = {  # problem, k, sizes of the clusters
    "one point": (lambda: of_points(random(1, 4)), 3, [1]),
    "constant": (lambda: of_grid(random(1, 16, 1, 1).expand(-1, -1, 5, 6).contiguous()), 4, [480]),
    "constant, bicubic": (
        lambda: of_grid(random(1, 16, 1, 1).expand(-1, -1, 5, 6).contiguous(), upsampling="bicubic"),
        4,
        [480],
    ),
    "constant, standardised": (
        lambda: of_grid(random(1, 16, 1, 1).expand(-1, -1, 5, 6).contiguous(), normalisation="standardise"),
        4,
        [480],
    ),
    "constant, unit vectors": (
        lambda: of_grid(random(1, 16, 1, 1).expand(-1, -1, 5, 6).contiguous(), normalisation="l2"),
        4,
        [480],
    ),
    "black": (lambda: of_grid(torch.zeros(1, 16, 5, 6)), 3, [480]),
    "three distinct points": (lambda: of_points(random(3, 8)[[0, 1, 2, 1, 0, 1]]), 5, [3, 2, 1]),
    "three distinct cells": (
        lambda: of_grid(random(3, 8)[[0, 1, 2, 1, 0, 1]].T.reshape(1, 8, 2, 3), upsampling="nearest"),
        5,
        [48, 32, 16],
    ),
}


@pytest.mark.parametrize("problem", PROBLEMS)
@pytest.mark.parametrize("engine", ENGINES)
def test_engines_agree_with_the_reference(engine, problem):
    make, k = PROBLEMS[problem]
    points = make()
    seeds = torch.arange(points.batch)
    found, expected = ENGINES[engine](points, k, seeds), REFERENCE(points, k, seeds)
    check_contract(points, k, found)
    assert (found.inertia <= 1.01 * expected.inertia + 1e-4).all()
    for ours, theirs in zip(found.labels, expected.labels, strict=True):
        assert adjusted_rand_score(theirs.flatten(), ours.flatten()) > 0.98
    if engine in EXACT:
        assert same_maps(points, found, expected)


@pytest.mark.parametrize("problem", DEGENERATE)
@pytest.mark.parametrize("engine", ENGINES)
def test_degenerate_images_have_as_many_clusters_as_distinct_points(engine, problem):
    make, k, sizes = DEGENERATE[problem]
    points = make()
    found = ENGINES[engine](points, k, torch.tensor([0]))
    check_contract(points, k, found)
    counts = found.labels.flatten().bincount()
    assert sorted(counts[counts > 0].tolist(), reverse=True) == sizes
    scale = points.squared_norms().max()
    assert found.inertia.item() <= 1e-5 * scale * found.labels.numel()


def check_contract(points, k, found):
    """Shapes, finite centroids, and an inertia that labels and centroids account for."""
    X = points.materialise().double()
    assert found.labels.shape == (points.batch, *points.size)
    assert found.centroids.shape == (points.batch, k, X.shape[2])
    assert found.iterations.shape == found.inertia.shape == (points.batch,)
    assert found.labels.max() < k
    assert found.centroids.isfinite().all()
    own = found.centroids.double().gather(1, found.labels.flatten(1).long()[:, :, None].expand_as(X))
    torch.testing.assert_close(found.inertia, ((X - own) ** 2).sum((1, 2)), rtol=1e-3, atol=1e-5 * float((X**2).sum()))


@pytest.mark.parametrize("engine", ENGINES)
def test_blobs_are_the_clusters(engine):
    points, blob = blobs((20, 30, 14, 9))
    labels = ENGINES[engine](points, 4, torch.tensor([0])).labels.flatten()
    assert adjusted_rand_score(blob, labels) == 1


@pytest.mark.parametrize("engine", ENGINES)
def test_the_seed_decides(engine):
    points = composite(batch=1)
    found = [ENGINES[engine](points, 6, torch.tensor([seed])).labels for seed in (1, 1, 2)]
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("k", [0, -1, 256])
def test_impossible_numbers_of_clusters_are_refused(engine, k):
    with pytest.raises(ValueError, match=f"k={k}: the number of clusters must be from 1 to 255, or auto"):
        ENGINES[engine](composite(batch=1), k, torch.tensor([0]))


@pytest.mark.parametrize("k", [1, 5, 255])
def test_possible_numbers_of_clusters_are_returned(k):
    assert check_k(k) == k
