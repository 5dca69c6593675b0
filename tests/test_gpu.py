"""Tests that need a GPU; ``make gpu`` runs these first, then measures the GPU (:mod:`nave.bench.gpu`)."""

import pytest
import torch
from sklearn.metrics import adjusted_rand_score
from torch.profiler import ProfilerActivity, profile

from nave.clustering.batched import Stop, TensorIterations, choose, iterate
from nave.clustering.gram import Gram, Points
from nave.clustering.seeding import initial_centroids
from tests.helpers.clustering import composed, layer_grids, smooth
from tests.helpers.parts import activations, composer, factored
from tests.helpers.running import into, nave_run, record, results, voc

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")]
SEEDS = torch.tensor([4, 9])
OPTIONS = [
    {},
    {"upsampling": "nearest"},
    {"upsampling": "bicubic"},
    {"normalisation": "l2"},
    {"normalisation": "none"},
    {"resolution": "grid"},
    {"grids": "two grids"},
]
SYNCHRONISING = ("cudaStreamSynchronize", "cudaDeviceSynchronize", "cudaEventSynchronize")


def composites(grids="one grid", **options):
    """The same activations on the CPU and on the GPU."""
    on_cpu = layer_grids(grids)
    on_gpu = {name: grid.cuda() for name, grid in on_cpu.items()}
    return composed(on_cpu, **options), composed(on_gpu, **options)


def agreement(expected, clusters):
    return adjusted_rand_score(expected.labels.flatten(), clusters.labels.cpu().flatten())


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_labels_are_those_of_the_cpu_up_to_ties(options, record_property):
    on_cpu, on_gpu = composites(**options)
    start = initial_centroids(on_cpu, 5, SEEDS)
    expected, clusters = factored()(on_cpu, 5, SEEDS, start), factored()(on_gpu, 5, SEEDS, start.cuda())
    record_property("ari", agreement(expected, clusters))
    assert agreement(expected, clusters) > 0.995
    assert (clusters.iterations.cpu() - expected.iterations).abs().max() <= 1
    torch.testing.assert_close(expected.inertia, clusters.inertia.cpu(), rtol=1e-3, atol=0)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_seeding_is_that_of_the_cpu(options):
    on_cpu, on_gpu = composites(**options)
    expected = initial_centroids(on_cpu, 5, SEEDS)
    torch.testing.assert_close(initial_centroids(on_gpu, 5, SEEDS).cpu(), expected, rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize("channels", [8, 200])  # less and more than grid points
def test_the_fused_kernels_are_used_and_equal_the_tensors(channels):
    grid = smooth(3, channels, 9, 12).cuda()
    problem = composer()(activations([grid], (126, 168), (120, 161)))
    start = torch.cat([grid.flatten(2).mT[:, [3, 50, 90]], grid.flatten(2).mT[:, [3, 7]] + 0.1], dim=1)
    points = Points(problem, Gram.from_composite(problem, start))
    stop = Stop(torch.full((3,), -1.0, dtype=torch.float64, device="cuda"), 300)
    assert not isinstance(choose(points, stop, 5), TensorIterations)
    state, iterations = iterate(points, points.gram.further_points())
    expected, got = TensorIterations(points, stop).assign(state), iterations.assign(state)
    assert (got.labels == expected.labels).double().mean() > 0.999
    torch.testing.assert_close(got.counts, expected.counts, rtol=1e-2, atol=2)
    torch.testing.assert_close(got.pooled, expected.pooled, rtol=1e-2, atol=2)


@pytest.mark.parametrize("options", [{}, {"normalisation": "l2"}], ids=str)
def test_empty_clusters_move_as_on_the_cpu(options):
    on_cpu, on_gpu = composites(**options)
    X = on_cpu.materialise()
    start = torch.cat([torch.full_like(X[:, :1], 1e3), X[:, [5, 2000]]], dim=1)
    expected, clusters = factored()(on_cpu, 3, SEEDS, start), factored()(on_gpu, 3, SEEDS, start.cuda())
    assert agreement(expected, clusters) > 0.995
    assert (clusters.iterations.cpu() - expected.iterations).abs().max() <= 1


def test_bytes_repeat():
    _, on_gpu = composites()
    one, two = (factored()(on_gpu, 5, SEEDS) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(vars(one).values(), vars(two).values(), strict=True))


def test_reduced_precision_of_matrix_products_changes_no_byte():
    _, on_gpu = composites()
    exact, before = factored()(on_gpu, 5, SEEDS), torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = True
    try:
        assert torch.equal(factored()(on_gpu, 5, SEEDS).labels, exact.labels)
    finally:
        torch.backends.cuda.matmul.allow_tf32 = before


@pytest.mark.parametrize("channels", [60, 1536])
def test_a_batch_hardly_waits_and_launches_little(channels, record_property):
    """From the activations to the clusters, after a first batch of the size; the encoder has some 200 launches."""
    captured = activations([smooth(64, channels, 16, 16).cuda()], (224, 224))

    def run():
        factored()(composer()(captured), 5, torch.arange(64))

    run()
    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA], acc_events=True) as profiler:
        run()
    names = [event.name for event in profiler.events()]
    waits = sum(name in SYNCHRONISING for name in names)
    launches = sum("LaunchKernel" in name for name in names)
    record_property("waits", waits)
    record_property("launches", launches)
    assert waits <= 5  # one is the profiler's own
    assert launches <= 250


def test_images_of_any_size_share_the_compiled_kernels():
    from nave.clustering import lloyd_gpu, seeding_gpu

    kernels = (lloyd_gpu.iterate, seeding_gpu.draw)

    def compiled():
        return sum(len(cache[0]) for kernel in kernels for cache in kernel.device_caches.values())

    before = compiled()
    for h, w in ((27, 36), (20, 31), (36, 27), (16, 16), (13, 29), (31, 33), (17, 9), (24, 36), (1, 2)):
        captured = activations([smooth(3, 8, h, w).cuda()], (14 * h, 14 * w), (14 * h - 3, 14 * w - 5))
        factored()(composer()(captured), 5, torch.arange(3))
    assert 0 < compiled() <= before + 5  # a lane or two a cell, a multiple of four grid points or another number


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_a_run_repeats_its_bytes(precision, tmp_path):
    options = (*voc(tmp_path), "trainer.accelerator=cuda", f"trainer.precision={precision}", "loader.batch_size=2")
    for folder in ("one", "two"):
        assert nave_run(*options, into(tmp_path / folder)) == 0
    assert "cuda" in record(tmp_path / "one")["device"]
    assert results(tmp_path / "one") == results(tmp_path / "two")
