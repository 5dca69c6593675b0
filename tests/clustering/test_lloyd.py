"""Lloyd's iterations: empty clusters, batches, and the compiled form against the tensors."""

import pytest
import torch

from nave.clustering.lloyd import _iterate_batch, lloyd, lloyd_centroids, means
from nave.clustering.seeding import initial_centroids
from nave.clustering.steps import Step, TensorStepper, stepper
from tests.helpers.clustering import composed, composite, composite_of_points, layer_grids, ties


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


def test_images_that_converge_leave_the_batch_without_a_trace():
    """As on a GPU, where images are solved together; the first one has converged at once."""
    easy, hard = layer_grids(batch=1), layer_grids(batch=2, seed=1)
    problem = composed({name: torch.cat([easy[name], hard[name]]) for name in easy})
    start = initial_centroids(problem, 4, torch.tensor([1, 2, 3]))
    start[0] = lloyd(problem.images(slice(1)), start[:1]).centroids[0]
    together = lloyd(problem, start)
    assert together.iterations[0] == 2 < together.iterations[1:].min()
    for image, one in enumerate(problem.split()):
        alone = lloyd(one, start[image : image + 1])
        assert torch.equal(alone.iterations, together.iterations[image : image + 1])
        assert ((alone.labels == together.labels[image]) | ties(one, alone.centroids)).all()
        torch.testing.assert_close(alone.centroids, together.centroids[image : image + 1], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("options", [{}, {"upsampling": "nearest"}, {"resolution": "grid"}], ids=str)
@pytest.mark.parametrize("tolerance", [0.0, 1e-3])
@pytest.mark.parametrize("max_iter", [1, 300])
def test_compiled_iterations_are_those_on_tensors(options, tolerance, max_iter):
    problem = composite(**options)
    start = initial_centroids(problem, 4, torch.tensor([1, 2])) + 0.2
    compiled, iterations = lloyd_centroids(problem, start, max_iter, tolerance)
    threshold = torch.full((2,), -1.0) if not tolerance else tolerance * _variance(problem)
    expected, counted = _iterate_batch(problem, TensorStepper(problem), start, max_iter, threshold)
    assert torch.equal(iterations, counted)
    torch.testing.assert_close(compiled, expected, rtol=1e-3, atol=1e-4)


def _variance(problem):
    return problem.materialise().double().var(1, unbiased=False).mean(1)
