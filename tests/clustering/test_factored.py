"""The factored engine against scikit-learn on the materialised composite, from the same initial centroids."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sklearn.cluster import KMeans

from nave.clustering.seeding import initial_centroids
from nave.clustering.steps import CompiledStepper, TensorStepper, first_maximum, stepper
from tests.helpers.clustering import (
    GRIDS,
    blobs,
    composed,
    composite,
    composite_of_grid,
    layer_grids,
    same_maps,
    start_with_empty,
    ties,
)
from tests.helpers.parts import activations, composer, engine, factored

SEEDS = torch.tensor([1, 2])
OPTIONS = list(
    itertools.product(
        ["input", "grid", (25, 30)],
        ["bilinear", "bicubic", "nearest"],
        ["none", "standardise", "l2"],
        [("equal", "one grid"), ("equal", "two grids"), ("channels", "two grids")],  # one grid: as many channels
    )
)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(("resolution", "upsampling", "normalisation", "layers"), OPTIONS)
def test_labels_equal_scikit_learns(resolution, upsampling, normalisation, layers):
    layer_weighting, grids = layers
    problem = composite(
        grids,
        resolution=resolution,
        upsampling=upsampling,
        normalisation=normalisation,
        layer_weighting=layer_weighting,
    )
    ours, theirs = factored()(problem, 5, SEEDS), engine("sklearn")(problem, 5, SEEDS)
    assert same_maps(problem, ours, theirs)
    assert torch.equal(ours.iterations, theirs.iterations)
    torch.testing.assert_close(ours.centroids, theirs.centroids, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(ours.inertia, theirs.inertia, rtol=1e-4, atol=0)


@settings(max_examples=60, deadline=None)
@given(
    layers=st.lists(st.tuples(st.integers(1, 9), st.integers(2, 7), st.integers(2, 7)), min_size=1, max_size=3),
    padded=st.tuples(st.integers(14, 40), st.integers(14, 40)),
    options=st.tuples(
        st.sampled_from(["input", "grid", [9, 11]]),
        st.sampled_from(["bilinear", "bicubic", "nearest"]),
        st.sampled_from(["none", "standardise", "l2"]),
    ),
    k=st.integers(1, 6),
    seed=st.integers(0, 99),
)
@example(layers=[(1, 2, 2)], padded=(14, 14), options=("input", "bicubic", "none"), k=2, seed=0)  # overshoots
@example(layers=[(1, 6, 7)], padded=(18, 32), options=("input", "bicubic", "l2"), k=1, seed=69)  # nearly zero
def test_one_step_from_any_centroids_is_the_dense_one(layers, padded, options, k, seed):
    """Whole runs may part at a tie, a step may not."""
    generator = torch.Generator().manual_seed(seed)
    grids = [torch.randn(2, *shape, generator=generator) for shape in layers]
    resolution, upsampling, normalisation = options
    compose = composer(resolution=resolution, upsampling=upsampling, normalisation=normalisation)
    problem = compose(activations(grids, padded, (padded[0] - 3, padded[1] - 1)))
    X = problem.materialise()
    centroids = X[:, torch.randint(X.shape[1], (k,), generator=generator)] + 0.1
    for way in (stepper(problem), TensorStepper(problem)):
        check_step(problem, X.double(), centroids, way(centroids))


def check_step(problem, X, centroids, step):
    distances = torch.cdist(X, centroids.double(), compute_mode="donot_use_mm_for_euclid_dist")
    nearest = distances.topk(min(2, distances.shape[2]), dim=2, largest=False).values ** 2
    rounding = 5e-5 * float(X.abs().max() ** 2 + centroids.abs().max() ** 2) * X.shape[2]
    clear = (nearest[..., -1] - nearest[..., 0] > rounding) | (distances.shape[2] == 1)
    assert torch.equal(step.labels.flatten(1)[clear].long(), distances.argmin(2)[clear])
    masks = torch.nn.functional.one_hot(step.labels.flatten(1).long(), centroids.shape[1]).double()
    torch.testing.assert_close(step.counts.double(), masks.sum(1), rtol=1e-4, atol=1e-3)
    sums = masks.transpose(1, 2) @ X
    torch.testing.assert_close(step.sums.double(), sums, rtol=1e-3, atol=1e-3 * float(X.abs().max()))


@pytest.mark.parametrize("resolution", ["input", "grid"])
@pytest.mark.parametrize("upsampling", ["bilinear", "nearest"])
def test_compiled_steps_are_used_where_possible(resolution, upsampling):
    problem = composite(resolution=resolution, upsampling=upsampling)
    assert isinstance(stepper(problem), CompiledStepper)
    centroids = initial_centroids(problem, 5, SEEDS)
    compiled, tensors = stepper(problem)(centroids), TensorStepper(problem)(centroids)
    assert ((compiled.labels == tensors.labels) | ties(problem, centroids)).all()
    assert (compiled.labels == tensors.labels).double().mean() > 0.999
    torch.testing.assert_close(compiled.sums, tensors.sums, rtol=1e-3, atol=1e-1)


@pytest.mark.parametrize(
    "options", [{"grids": "two grids"}, {"normalisation": "l2"}, {"upsampling": "bicubic"}], ids=str
)
def test_other_composites_are_stepped_on_tensors(options):
    assert isinstance(stepper(composite(**options)), TensorStepper)


def test_first_maximum_is_argmax_with_the_lowest_id_at_ties():
    scores = torch.randint(0, 3, (2, 7, 9, 11), generator=torch.Generator().manual_seed(0)).float()
    np.testing.assert_array_equal(first_maximum(scores).numpy(), scores.numpy().argmax(1))


@pytest.mark.parametrize("tolerance", [1e-5, 1e-3, 1e-2, 0.1])
@pytest.mark.parametrize("grids", GRIDS)
def test_tolerance_stops_where_scikit_learn_stops(tolerance, grids):
    problem = composite(grids)
    start = problem.materialise()[:, [3, 700, 2500, 4000]]
    ours = factored(tolerance=tolerance)(problem, 4, SEEDS, start)
    for image in range(2):
        X = problem.materialise()[image].numpy()
        fit = KMeans(4, init=start[image].numpy(), n_init=1, tol=tolerance).fit(X)
        assert ours.iterations[image] == fit.n_iter_
        np.testing.assert_allclose(ours.centroids[image], fit.cluster_centers_, rtol=1e-3, atol=1e-4)
    assert tolerance < 1e-3 or (ours.iterations < factored()(problem, 4, SEEDS, start).iterations).any()


def test_tolerance_is_a_share_of_the_variance_not_of_the_offset():
    grid = layer_grids()["layer0"]
    start = composite_of_grid(grid).materialise()[:, [3, 70, 1000]]
    near, far = (
        factored(tolerance=1e-3)(composite_of_grid(grid + offset), 3, SEEDS, start + offset).iterations
        for offset in (0, 20)
    )
    assert (near - far).abs().max() <= 2  # of some twenty: rounding


@pytest.mark.parametrize("max_iter", [1, 2, 7])
def test_iterations_end_where_scikit_learns_end(max_iter):
    problem = composite("two grids")
    start = problem.materialise()[:, [3, 700, 2500, 4000]]
    ours, theirs = (engine(name, max_iter=max_iter)(problem, 4, SEEDS, start) for name in ("factored", "sklearn"))
    assert ours.iterations.tolist() == [max_iter, max_iter]
    assert same_maps(problem, ours, theirs)
    torch.testing.assert_close(ours.inertia, theirs.inertia, rtol=1e-4, atol=0)


@pytest.mark.parametrize("empty", [1, 3])
@pytest.mark.parametrize("options", [{}, {"grids": "two grids"}, {"normalisation": "l2"}], ids=str)
def test_empty_clusters_move_where_scikit_learn_moves_them(empty, options):
    problem = composite(**options)
    start = start_with_empty(problem, empty)
    for max_iter in (1, 300):
        ours, theirs = (
            engine(name, max_iter=max_iter)(problem, 2 + empty, SEEDS, start) for name in ("factored", "sklearn")
        )
        torch.testing.assert_close(ours.centroids, theirs.centroids, rtol=1e-3, atol=1e-3)
        assert torch.equal(ours.iterations, theirs.iterations)
        assert same_maps(problem, ours, theirs)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("options", [{}, {"grids": "two grids"}, {"normalisation": "l2"}], ids=str)
@pytest.mark.parametrize("n_init", [1, 3])
def test_an_image_has_the_same_bits_in_every_batch_and_order(options, n_init):
    grids, rest = options.get("grids", "one grid"), {k: v for k, v in options.items() if k != "grids"}
    whole, seeds, kmeans = layer_grids(grids, batch=3), torch.tensor([11, 7, 5]), factored(n_init=n_init)

    def clusters(images):
        part = {name: grid[images] for name, grid in whole.items()}
        return kmeans(composed(part, **rest), 5, seeds[images])

    together = clusters([0, 1, 2])
    for images in ([0], [2], [2, 1, 0], [1, 2]):
        part = clusters(images)
        assert torch.equal(part.labels, together.labels[images])
        assert torch.equal(part.centroids, together.centroids[images])
        assert torch.equal(part.iterations, together.iterations[images])
        assert torch.equal(part.inertia, together.inertia[images])


def test_initial_centroids_are_not_modified():
    problem = composite()
    start = problem.materialise()[:, [3, 700, 2500]].clone()
    before = start.clone()
    factored()(problem, 3, SEEDS, start)
    assert torch.equal(start, before)


def test_inertia_falls_from_iteration_to_iteration():
    problem = composite("two grids", normalisation="none")
    start = problem.materialise()[:, [3, 700, 2500, 3000, 4000]]
    course = torch.stack([factored(max_iter=n)(problem, 5, SEEDS, start).inertia for n in (1, 2, 4, 8, 300)])
    assert (course[1:] <= course[:-1] * (1 + 1e-6)).all()


def test_inertia_is_that_of_the_labels_and_centroids():
    problem = composite("two grids", normalisation="l2")
    clusters = factored()(problem, 5, SEEDS)
    X = problem.materialise().double()
    own = clusters.centroids.double().gather(1, clusters.labels.flatten(1).long()[:, :, None].expand_as(X))
    torch.testing.assert_close(clusters.inertia, ((X - own) ** 2).sum((1, 2)), rtol=1e-4, atol=0)


def test_a_large_offset_hardly_moves_the_labels():
    """Without normalisation a ViT's largest channel dwarfs the variation."""
    grid = layer_grids()["layer0"].clone()
    grid[:, 0] += 50
    problem = composite_of_grid(grid)
    ours, theirs = factored()(problem, 4, SEEDS), engine("sklearn")(problem, 4, SEEDS)
    assert (ours.labels == theirs.labels).double().mean() > 0.999


def test_blobs_are_separated():
    problem, blob = blobs((20, 30, 14))
    labels = factored()(problem, 3, SEEDS[:1]).labels.flatten().long()
    assert all(len(labels[blob == b].unique()) == 1 for b in range(3))
    assert len(labels.unique()) == 3
