"""Lloyd's iterations: empty clusters, and the compiled form against the tensors."""

import pytest
import torch

from nave.clustering.lloyd import iterate, mean_variance, means
from nave.clustering.seeding import initial_centroids
from nave.clustering.steps import Step, TensorStepper, stepper
from tests.helpers.clustering import composite, composite_of_points


def test_a_point_that_founds_a_cluster_leaves_its_old_one():
    """Points 0, 1, 2 and 9 on a line; no point is near the second centroid: 9 is farthest from the first."""
    problem = composite_of_points(torch.tensor([[0.0], [1.0], [2.0], [9.0]]))
    centroids = torch.tensor([[[1.0], [1e6]]])
    moved = means(problem, stepper(problem)(centroids), centroids)
    torch.testing.assert_close(moved, torch.tensor([[[1.0], [9.0]]]))


def test_an_empty_cluster_stays_where_every_point_lies_on_its_centroid():
    problem = composite_of_points(torch.tensor([[3.0], [5.0], [3.0]]))
    centroids = torch.tensor([[[3.0], [5.0], [40.0]]])
    step = Step(
        torch.tensor([[[0, 1, 0]]], dtype=torch.uint8),
        torch.tensor([[2.0, 1.0, 0.0]]),
        torch.tensor([[[6.0], [5.0], [0.0]]]),
    )
    torch.testing.assert_close(means(problem, step, centroids), centroids)


@pytest.mark.parametrize("options", [{}, {"upsampling": "nearest"}, {"resolution": "grid"}], ids=str)
@pytest.mark.parametrize("tolerance", [0.0, 1e-3])
@pytest.mark.parametrize("max_iter", [1, 300])
def test_compiled_iterations_are_those_on_tensors(options, tolerance, max_iter):
    problem = composite(**options)
    start = initial_centroids(problem, 4, torch.tensor([1, 2])) + 0.2
    for image, one in zip(problem.split(), start.split(1), strict=True):
        compiled, iterations = iterate(image, stepper(image), one, max_iter, tolerance)
        expected, counted = iterate(image, TensorStepper(image), one, max_iter, tolerance)
        assert iterations == counted
        torch.testing.assert_close(compiled, expected, rtol=1e-3, atol=1e-4)


def test_the_mean_variance_is_that_of_the_points():
    problem = composite()
    expected = problem.materialise().double().var(1, unbiased=False).mean(1)
    torch.testing.assert_close(mean_variance(problem), expected)
