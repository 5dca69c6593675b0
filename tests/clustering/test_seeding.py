"""Seeding against scikit-learn's k-means++ and Lloyd, and its independence of the batch."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from sklearn.cluster import kmeans_plusplus

from nave.clustering.sampling import grid_points
from nave.clustering.seeding import initial_centroids, kmeans_plus_plus
from tests.helpers.clustering import blobs, composite, composite_of_grid, composite_of_points


def uniforms(batch, k, trials=3, seed=0):
    return torch.rand((batch, k, trials), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def potential(X, centroids):
    return torch.cdist(X, centroids).min(-1).values.square().sum(-1)


def cloud(batch=1, points=120, channels=6, seed=0):
    return torch.randn(batch, points, channels, generator=torch.Generator().manual_seed(seed)) ** 3


def test_centroids_are_distinct_points():
    X = cloud(batch=3)
    centroids = kmeans_plus_plus(X, uniforms(3, 7))
    same = (centroids[:, :, None] == X[:, None]).all(3)
    assert (same.sum(2) == 1).all()
    assert (same.sum(1) <= 1).all()


def test_far_blobs_get_one_centroid_each():
    X, blob = blobs((20, 30, 14, 3))
    for seed in range(50):
        centroids = kmeans_plus_plus(X.materialise(), uniforms(1, 4, seed=seed))
        assert sorted(blob[torch.cdist(centroids, X.materialise())[0].argmin(1)].tolist()) == [0, 1, 2, 3]


def test_potential_is_that_of_scikit_learn():
    """Mean inertia of 300 seedings, both with the same number of trials; standard errors are near 0.5 %."""
    X, k, runs = cloud(), 6, 300
    trials = 2 + int(np.log(k))
    ours = potential(X, kmeans_plus_plus(X.expand(runs, -1, -1), uniforms(runs, k, trials)))
    seedings = [kmeans_plusplus(X[0].numpy(), k, random_state=seed)[0] for seed in range(runs)]
    theirs = potential(X, torch.from_numpy(np.stack(seedings)))
    torch.testing.assert_close(ours.mean(), theirs.mean(), rtol=0.03, atol=0)
    torch.testing.assert_close(ours.std(), theirs.std(), rtol=0.25, atol=0)


def test_the_second_centroid_is_drawn_by_squared_distance():
    """Points at 0, 1 and 3 on a line, the first centroid at 0: 1 and 9 of 10 draws with one trial."""
    X = torch.tensor([[0.0], [1.0], [3.0]]).expand(2000, 3, 1)
    draws = uniforms(2000, 2, 1)
    draws[:, 0] = 0
    second = kmeans_plus_plus(X, draws)[:, 1, 0]
    assert (second == 0).sum() == 0
    assert (second == 3).double().mean() == pytest.approx(0.9, abs=0.02)


def test_fewer_points_than_centroids_are_repeated():
    X = torch.tensor([[0.0, 1.0], [4.0, 1.0]]).repeat(1, 5, 1)
    centroids = kmeans_plus_plus(X, uniforms(1, 4))
    assert {tuple(c) for c in centroids[0].tolist()} == {(0.0, 1.0), (4.0, 1.0)}


@pytest.mark.parametrize("grids", ["one grid", pytest.param("two grids", marks=pytest.mark.slow)])
def test_restarts_never_worsen_the_inertia_on_the_grid(grids):
    problem = composite(grids, batch=3)
    X = grid_points(problem).materialise()
    inertias = [potential(X, initial_centroids(problem, 6, torch.arange(3), n)) for n in (1, 2, 5, 10)]
    assert all((more <= fewer * (1 + 1e-5)).all() for fewer, more in pairwise(inertias))
    assert (inertias[-1] < inertias[0]).any()


def test_seeds_decide():
    problem = composite(batch=3)
    same = initial_centroids(problem, 5, torch.tensor([4, 4, 9]))
    assert torch.equal(same, initial_centroids(problem, 5, torch.tensor([4, 4, 9])))
    assert not torch.equal(same, initial_centroids(problem, 5, torch.tensor([5, 6, 7])))


def test_the_global_generator_is_left_alone():
    state = torch.random.get_rng_state()
    initial_centroids(composite(), 3, torch.tensor([1, 2]))
    assert torch.equal(torch.random.get_rng_state(), state)


def test_an_image_has_its_centroids_whatever_its_batch():
    problem, seeds = composite(batch=3), torch.tensor([3, 1, 2])
    together = initial_centroids(problem, 5, seeds)
    for image, one in enumerate(problem.split()):
        alone = initial_centroids(one, 5, seeds[image : image + 1])
        torch.testing.assert_close(alone, together[image : image + 1])


@pytest.mark.parametrize(("grid", "chosen"), [((3, 4), (3, 4)), ((1, 1), (1, 1)), ((5, 2), (5, 2))])
def test_grid_points_are_the_points_in_the_middle_of_their_cells(grid, chosen):
    problem = composite_of_grid(
        torch.randn(1, 2, *grid, generator=torch.Generator().manual_seed(0)), upsampling="nearest"
    )
    points = grid_points(problem)
    assert points.size == chosen
    torch.testing.assert_close(points.materialise()[0].T.view(2, *grid), problem.blocks[0].features[0])


def test_grid_points_follow_the_finest_grid():
    assert grid_points(composite("two grids")).size == (18, 24)
    assert grid_points(composite("two grids", resolution=(5, 6))).size == (5, 6)


def test_one_point_is_every_centroid():
    point = torch.randn(1, 4, generator=torch.Generator().manual_seed(0))
    assert (initial_centroids(composite_of_points(point), 3, torch.tensor([0])) == point).all()
