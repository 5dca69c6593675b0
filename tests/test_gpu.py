"""Tests that need a GPU; ``make gpu`` runs these first, then measures the GPU (:mod:`nave.bench.gpu`)."""

import pytest
import torch
from sklearn.metrics import adjusted_rand_score

from nave.clustering.seeding import initial_centroids
from nave.clustering.steps import FusedStepper, TensorStepper, stepper
from tests.helpers.clustering import composed, layer_grids
from tests.helpers.parts import factored
from tests.helpers.running import into, nave_run, record, results, voc

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")]
SEEDS = torch.tensor([4, 9])
OPTIONS = [{}, {"upsampling": "bicubic"}, {"normalisation": "l2"}, {"resolution": "grid"}]


def composites(**options):
    """The same activations on the CPU and on the GPU."""
    on_cpu = layer_grids()
    on_gpu = {name: grid.cuda() for name, grid in on_cpu.items()}
    return composed(on_cpu, **options), composed(on_gpu, **options)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_labels_are_those_of_the_cpu_up_to_ties(options, record_property):
    on_cpu, on_gpu = composites(**options)
    start = initial_centroids(on_cpu, 5, SEEDS)
    expected, clusters = factored()(on_cpu, 5, SEEDS, start), factored()(on_gpu, 5, SEEDS, start.cuda())
    agreement = adjusted_rand_score(expected.labels.flatten(), clusters.labels.cpu().flatten())
    record_property("ari", agreement)
    assert agreement > 0.995
    torch.testing.assert_close(expected.inertia, clusters.inertia.cpu(), rtol=1e-3, atol=0)


def test_the_fused_kernel_is_used_and_equals_the_tensors():
    _, on_gpu = composites()
    fused, centroids = stepper(on_gpu), initial_centroids(on_gpu, 5, SEEDS)
    assert isinstance(fused, FusedStepper)
    got, expected = fused(centroids), TensorStepper(on_gpu)(centroids)
    assert (got.labels == expected.labels).double().mean() > 0.999
    torch.testing.assert_close(got.counts.sum(1), expected.counts.sum(1))
    torch.testing.assert_close(got.sums, expected.sums, rtol=1e-2, atol=1.0)


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_a_run_repeats_its_bytes(precision, tmp_path):
    options = (*voc(tmp_path), "trainer.accelerator=cuda", f"trainer.precision={precision}", "loader.batch_size=2")
    for folder in ("one", "two"):
        assert nave_run(*options, into(tmp_path / folder)) == 0
    assert "cuda" in record(tmp_path / "one")["device"]
    assert results(tmp_path / "one") == results(tmp_path / "two")
