"""Lloyd on coefficients, as it runs on a GPU, against the CPU's engine, and the host's part in it."""

import itertools

import pytest
import torch

from nave.clustering.batched import PAUSED, State, Stop, TensorIterations, finish, iterate
from nave.clustering.batched_seeding import initial_coefficients
from nave.clustering.factored import Factored
from nave.clustering.gram import Gram, Points
from nave.clustering.seeding import initial_centroids
from tests.helpers.clustering import (
    composed,
    composite,
    composite_of_grid,
    layer_grids,
    same_maps,
    start_with_empty,
)
from tests.helpers.parts import factored

SEEDS = torch.tensor([1, 2])
OPTIONS = list(
    itertools.product(
        ["input", "grid", (25, 30)],
        ["bilinear", "bicubic", "nearest"],
        ["none", "standardise", "l2"],
        ["one grid", "two grids"],
    )
)


def batched(problem, k, seeds=SEEDS, init=None, **options) -> object:
    engine: Factored = factored(**options)
    return engine._cluster_batch(problem, k, seeds, init)


def same(problem, ours, theirs):
    assert same_maps(problem, ours, theirs)
    assert torch.equal(ours.iterations, theirs.iterations)
    torch.testing.assert_close(ours.centroids, theirs.centroids, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(ours.inertia, theirs.inertia, rtol=1e-4, atol=1e-3)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("resolution", "upsampling", "normalisation", "grids"),
    [
        pytest.param(*options, marks=[] if number % 3 == 0 or "input" in options else pytest.mark.slow)
        for number, options in enumerate(OPTIONS)
    ],
)
def test_clusters_are_those_of_the_cpu(resolution, upsampling, normalisation, grids):
    problem = composite(grids, resolution=resolution, upsampling=upsampling, normalisation=normalisation)
    same(problem, batched(problem, 5), factored()(problem, 5, SEEDS))


@pytest.mark.parametrize("options", [{"n_init": 3}, {"tolerance": 1e-3}, {"max_iter": 1}, {"max_iter": 7}], ids=str)
@pytest.mark.parametrize(("grids", "normalisation"), [("one grid", "none"), ("two grids", "l2")])
def test_options_are_those_of_the_cpu(grids, normalisation, options):
    problem = composite(grids, normalisation=normalisation)
    same(problem, batched(problem, 4, **options), factored(**options)(problem, 4, SEEDS))


@pytest.mark.parametrize(
    ("empty", "options"),
    [
        (3, {}),
        *(
            pytest.param(*case, marks=pytest.mark.slow)
            for case in [(1, {}), *itertools.product([1, 3], [{"grids": "two grids"}, {"normalisation": "l2"}])]
        ),
    ],
    ids=str,
)
def test_empty_clusters_move_as_on_the_cpu(empty, options):
    problem = composite(**options)
    start = start_with_empty(problem, empty)
    for max_iter in (1, 300):
        ours = batched(problem, 2 + empty, SEEDS, start, max_iter=max_iter)
        same(problem, ours, factored(max_iter=max_iter)(problem, 2 + empty, SEEDS, start))


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("k", [3, 5])
@pytest.mark.parametrize("normalisation", ["none", "standardise"])
def test_images_with_fewer_distinct_points_than_clusters(k, normalisation):
    grids = {name: grid.clone() for name, grid in layer_grids(batch=3).items()}
    for grid in grids.values():
        grid[0] = 0.7
        grid[1] = torch.where(torch.arange(grid.shape[3]) < 5, 1.0, -2.0)
    problem, seeds = composed(grids, normalisation=normalisation), torch.tensor([1, 2, 3])
    ours, theirs = batched(problem, k, seeds), factored()(problem, k, seeds)
    assert torch.equal(ours.labels[0], theirs.labels[0])
    assert same_maps(problem, ours, theirs)
    assert torch.equal(ours.iterations[[0, 2]], theirs.iterations[[0, 2]])  # equal points are drawn by rounding


def test_coincident_centroids_count_as_one():
    problem = composite()
    start = problem.materialise()[:, [3, 3, 2500]] * torch.tensor([1, 1 + 1e-7, 1])[:, None]
    state = State.start(*_points(problem, start))
    assert state.half_norms.isinf().tolist() == [[False, True, False]] * 2


def _points(problem, init):
    points = Points(problem, Gram.from_composite(problem, init))
    return points, points.gram.further_points()


def test_an_image_that_pauses_holds_up_no_other():
    problem = composite(batch=3)
    start = problem.materialise()[:, [3, 700, 2500]].contiguous()
    start[1, 0] += 1e3
    points, coefficients = _points(problem, start)
    iterations = TensorIterations(points, Stop(torch.full((3,), -1.0, dtype=torch.float64), 300))
    state = State.start(points, coefficients)
    iterations.advance(state, 3)
    assert state.status[1] == PAUSED
    assert state.iterations.tolist() == [3, 0, 3]
    together = finish(points, *iterate(points, coefficients))
    for i, image in enumerate(problem.split()):
        alone = factored()(image, 3, SEEDS[:1], start[i : i + 1])
        assert torch.equal(alone.iterations, together.iterations[i : i + 1])


def test_what_has_converged_stays_as_it_is():
    problem = composite()
    points, start = _points(problem, problem.materialise()[:, [3, 700, 2500]])
    state, iterations = iterate(points, start)
    before = state.images(torch.arange(2))
    iterations.advance(state, 1)
    assert all(torch.equal(a, b) for a, b in zip(vars(before).values(), vars(state).values(), strict=True))


@pytest.mark.parametrize("options", [{}, {"grids": "two grids"}, {"normalisation": "l2"}], ids=str)
@pytest.mark.parametrize("restarts", [1, 3])
def test_initial_coefficients_give_the_initial_centroids(options, restarts):
    problem = composite(**options)
    gram = Gram.from_composite(problem)
    ours = gram.centroids(initial_coefficients(problem, gram, 5, SEEDS, restarts))
    torch.testing.assert_close(ours, initial_centroids(problem, 5, SEEDS, restarts), rtol=1e-3, atol=1e-4)


def test_a_large_offset_changes_no_label():
    """Centring: differences are what products are computed from."""
    grid = layer_grids()["layer0"]
    near, far = (batched(composite_of_grid(grid + offset), 4).labels for offset in (0, 64))
    assert (near == far).double().mean() > 0.99
