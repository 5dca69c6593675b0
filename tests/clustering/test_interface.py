"""Every engine on the same problems: one contract, one quality, the same maps where exactness is promised."""

import pytest
import torch
from sklearn.metrics import adjusted_rand_score

from nave.clustering.interface import Clustering, cluster, elbow
from nave.clustering.number import check_k
from nave.composite.composite import Composite
from tests.helpers.clustering import blobs, composite, composite_of_grid, composite_of_points, same_maps
from tests.helpers.parts import activations, composer, engine, factored

ENGINES: dict[str, Clustering] = {name: engine(name) for name in ("factored", "sklearn")}
EXACT = {"factored", "sklearn"}  # Lloyd to convergence: the same maps from the same centroids
REFERENCE = ENGINES["sklearn"]


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
    "as many clusters as points": (lambda: composite_of_points(random(6, 4)), 6),
}
DEGENERATE = {  # problem, k, sizes of the clusters
    "one point": (lambda: composite_of_points(random(1, 4)), 3, [1]),
    "constant": (lambda: composite_of_grid(random(1, 16, 1, 1).expand(-1, -1, 5, 6).contiguous()), 4, [480]),
    "constant, bicubic": (
        lambda: composite_of_grid(random(1, 16, 1, 1).expand(-1, -1, 5, 6).contiguous(), upsampling="bicubic"),
        4,
        [480],
    ),
    "constant, standardised": (
        lambda: composite_of_grid(random(1, 16, 1, 1).expand(-1, -1, 5, 6).contiguous(), normalisation="standardise"),
        4,
        [480],
    ),
    "constant, unit vectors": (
        lambda: composite_of_grid(random(1, 16, 1, 1).expand(-1, -1, 5, 6).contiguous(), normalisation="l2"),
        4,
        [480],
    ),
    "black": (lambda: composite_of_grid(torch.zeros(1, 16, 5, 6)), 3, [480]),
    "three distinct points": (lambda: composite_of_points(random(3, 8)[[0, 1, 2, 1, 0, 1]]), 5, [3, 2, 1]),
    "three distinct cells": (
        lambda: composite_of_grid(random(3, 8)[[0, 1, 2, 1, 0, 1]].T.reshape(1, 8, 2, 3), upsampling="nearest"),
        5,
        [48, 32, 16],
    ),
}


@pytest.mark.parametrize("problem", PROBLEMS)
@pytest.mark.parametrize("name", ENGINES)
def test_engines_agree_with_the_reference(name, problem):
    make, k = PROBLEMS[problem]
    points = make()
    seeds = torch.arange(points.batch)
    clusters, expected = ENGINES[name](points, k, seeds), REFERENCE(points, k, seeds)
    check_contract(points, k, clusters)
    assert (clusters.inertia <= 1.01 * expected.inertia + 1e-4).all()
    for ours, theirs in zip(clusters.labels, expected.labels, strict=True):
        assert adjusted_rand_score(theirs.flatten(), ours.flatten()) > 0.98
    if name in EXACT:
        assert same_maps(points, clusters, expected)


@pytest.mark.parametrize("problem", DEGENERATE)
@pytest.mark.parametrize("name", ENGINES)
def test_degenerate_images_have_as_many_clusters_as_distinct_points(name, problem):
    make, k, sizes = DEGENERATE[problem]
    points = make()
    clusters = ENGINES[name](points, k, torch.tensor([0]))
    check_contract(points, k, clusters)
    counts = clusters.labels.flatten().bincount()
    assert sorted(counts[counts > 0].tolist(), reverse=True) == sizes
    scale = points.squared_norms().max()
    assert clusters.inertia.item() <= 1e-5 * scale * clusters.labels.numel()


def check_contract(points, k, clusters):
    """Shapes, finite centroids, and an inertia that labels and centroids account for."""
    X = points.materialise().double()
    assert clusters.labels.shape == (points.batch, *points.size)
    assert clusters.centroids.shape == (points.batch, k, X.shape[2])
    assert clusters.iterations.shape == clusters.inertia.shape == (points.batch,)
    assert clusters.labels.max() < k
    assert clusters.centroids.isfinite().all()
    own = clusters.centroids.double().gather(1, clusters.labels.flatten(1).long()[:, :, None].expand_as(X))
    torch.testing.assert_close(
        clusters.inertia, ((X - own) ** 2).sum((1, 2)), rtol=1e-3, atol=1e-5 * float((X**2).sum())
    )


@pytest.mark.parametrize("name", ENGINES)
def test_blobs_are_the_clusters(name):
    points, blob = blobs((20, 30, 14, 9))
    labels = ENGINES[name](points, 4, torch.tensor([0])).labels.flatten()
    assert adjusted_rand_score(blob, labels) == 1


@pytest.mark.parametrize("name", ENGINES)
def test_the_seed_decides(name):
    points = composite(batch=1)
    labels = [ENGINES[name](points, 6, torch.tensor([seed])).labels for seed in (1, 1, 2)]
    assert torch.equal(labels[0], labels[1])
    assert not torch.equal(labels[0], labels[2])


@pytest.mark.parametrize("name", ENGINES)
@pytest.mark.parametrize("k", [0, -1, 256])
def test_impossible_numbers_of_clusters_are_refused(name, k):
    with pytest.raises(ValueError, match=f"k={k}: the number of clusters must be from 1 to 255, or auto"):
        ENGINES[name](composite(batch=1), k, torch.tensor([0]))


@pytest.mark.parametrize("k", [1, 5, 255])
def test_possible_numbers_of_clusters_are_returned(k):
    assert check_k(k) == k


def test_the_step_that_reduces_the_inertia_by_the_largest_share_wins() -> None:
    #                K = 2    3    4    5    6    7    8    9   10
    inertia = [[100.0, 90.0, 20.0, 19.0, 18.0, 17.0, 16.0, 15.0, 14.0], [8.0, 2.0, 1.9, 1.8, 1.7, 1.6, 1.5, 1.4, 1.3]]
    assert elbow(torch.tensor(inertia, dtype=torch.float64)).tolist() == [4, 3]


def test_rounding_noise_after_a_perfect_fit_is_no_step() -> None:
    inertia = torch.tensor([[10.0, 8.0, 4.0, 0.0, 0.0, 0.0, 1e-12, 0.0, 0.0]], dtype=torch.float64)
    assert elbow(inertia).tolist() == [5]


def bands(number: int) -> Composite:
    """A map of vertical bands, each of points close to each other and far from those of other bands."""
    values = torch.arange(number).repeat_interleave(6).float()
    directions = torch.eye(number)[values.long()].T  # (channels, columns)
    grid = directions[:, None].expand(-1, 6, -1)[None] + 0.01 * torch.randn(1, number, 6, 6 * number)
    return composer(resolution="grid", normalisation="none")(activations([grid], (6, 6 * number)))


@pytest.mark.parametrize("number", [3, 4, 6])
def test_auto_chooses_the_number_of_separated_groups(number: int) -> None:
    torch.manual_seed(number)
    clusters = cluster(factored(n_init=5), bands(number), "auto", torch.tensor([0]))
    assert len(clusters.labels.unique()) == number
    assert clusters.centroids.shape[1] == 10


def test_a_number_is_passed_to_the_engine() -> None:
    points, seeds = bands(3), torch.tensor([1])
    assert torch.equal(cluster(factored(), points, 2, seeds).labels, factored()(points, 2, seeds).labels)
