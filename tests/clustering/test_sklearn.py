"""The reference engine is scikit-learn itself, with outcomes where scikit-learn has none."""

import numpy as np
import pytest
import torch
from sklearn.cluster import KMeans

from nave.clustering.seeding import initial_centroids
from nave.clustering.sklearn import ScikitLearn
from tests.clustering.problems import composite, of_points

SEEDS = torch.tensor([4, 5])


@pytest.mark.parametrize("tolerance", [0.0, 1e-3])
def test_every_image_is_fitted_by_scikit_learn(tolerance):
    problem = composite("two grids")
    found = ScikitLearn(tolerance=tolerance)(problem, 4, SEEDS)
    start = initial_centroids(problem, 4, SEEDS)
    for image, X in enumerate(problem.materialise().numpy()):
        fit = KMeans(4, init=start[image].numpy(), n_init=1, tol=tolerance).fit(X)
        np.testing.assert_array_equal(found.labels[image].flatten(), fit.labels_)
        np.testing.assert_array_equal(found.centroids[image], fit.cluster_centers_)
        assert found.inertia[image] == fit.inertia_
        assert found.iterations[image] == fit.n_iter_


def test_given_centroids_replace_the_seeding():
    problem = composite(batch=1)
    start = problem.materialise()[:, [0, 2000, 4000]]
    found = ScikitLearn(max_iter=1)(problem, 3, SEEDS[:1], start)
    fit = KMeans(3, init=start[0].numpy(), n_init=1, max_iter=1, tol=0).fit(problem.materialise()[0].numpy())
    np.testing.assert_array_equal(found.labels[0].flatten(), fit.labels_)


def test_points_fewer_than_clusters_are_clusters_of_one():
    points = torch.tensor([[0.0, 1.0], [3.0, 1.0]])
    found = ScikitLearn()(of_points(points), 4, SEEDS[:1])
    assert sorted(found.labels.flatten().tolist()) == [0, 1]
    assert found.centroids.shape == (1, 4, 2)
    assert found.inertia.item() == 0


def test_clusters_on_one_centroid_are_one():
    """Scikit-learn shares out equal points among them, after rounding."""
    points = torch.randn(1, 50, generator=torch.Generator().manual_seed(0)).repeat(30, 1) * (1 + 1e-7)
    found = ScikitLearn()(
        of_points(points), 3, SEEDS[:1], points[None, :3] * torch.tensor([1, 1 + 1e-7, 1 - 1e-7])[:, None]
    )
    assert (found.labels == 0).all()
