"""The reference engine is scikit-learn itself, with a defined result where scikit-learn has none."""

import numpy as np
import pytest
import torch
from sklearn.cluster import KMeans

from nave.clustering.seeding import initial_centroids
from tests.helpers.clustering import composite, composite_of_points
from tests.helpers.parts import engine

SEEDS = torch.tensor([4, 5])


@pytest.mark.parametrize("tolerance", [0.0, 1e-3])
def test_every_image_is_fitted_by_scikit_learn(tolerance):
    problem = composite("two grids")
    clusters = engine("sklearn", tolerance=tolerance)(problem, 4, SEEDS)
    start = initial_centroids(problem, 4, SEEDS)
    for image, X in enumerate(problem.materialise().numpy()):
        fit = KMeans(4, init=start[image].numpy(), n_init=1, tol=tolerance).fit(X)
        np.testing.assert_array_equal(clusters.labels[image].flatten(), fit.labels_)
        np.testing.assert_array_equal(clusters.centroids[image], fit.cluster_centers_)
        assert clusters.inertia[image] == fit.inertia_
        assert clusters.iterations[image] == fit.n_iter_


def test_initial_centroids_replace_the_seeding():
    problem = composite(batch=1)
    start = problem.materialise()[:, [0, 2000, 4000]]
    clusters = engine("sklearn", max_iter=1)(problem, 3, SEEDS[:1], start)
    fit = KMeans(3, init=start[0].numpy(), n_init=1, max_iter=1, tol=0).fit(problem.materialise()[0].numpy())
    np.testing.assert_array_equal(clusters.labels[0].flatten(), fit.labels_)


def test_fewer_points_than_clusters_are_clusters_of_one():
    points = torch.tensor([[0.0, 1.0], [3.0, 1.0]])
    clusters = engine("sklearn")(composite_of_points(points), 4, SEEDS[:1])
    assert sorted(clusters.labels.flatten().tolist()) == [0, 1]
    assert clusters.centroids.shape == (1, 4, 2)
    assert clusters.inertia.item() == 0


def test_clusters_on_one_centroid_are_one():
    """Scikit-learn distributes equal points among them, by rounding."""
    points = torch.randn(1, 50, generator=torch.Generator().manual_seed(0)).repeat(30, 1) * (1 + 1e-7)
    clusters = engine("sklearn")(
        composite_of_points(points), 3, SEEDS[:1], points[None, :3] * torch.tensor([1, 1 + 1e-7, 1 - 1e-7])[:, None]
    )
    assert (clusters.labels == 0).all()
