import pytest
import torch

from nave.clustering.cuml import compress
from nave.composite.composite import Composite
from tests.helpers.parts import activations, composer, engine, factored


def composite(normalisation: str, device: str = "cpu") -> Composite:
    torch.manual_seed(0)
    grids = {"a": torch.randn(1, 48, 4, 5, device=device), "b": torch.randn(1, 8, 2, 3, device=device)}
    return composer(normalisation=normalisation)(activations(grids, (28, 35), (25, 33)))


@pytest.mark.parametrize("normalisation", ["l2", "standardise", "none"])
def test_compression_changes_no_distance(normalisation: str) -> None:
    full = composite(normalisation)
    compressed, basis = compress(full)
    X, Y = full.materialise()[0].double(), compressed.materialise()[0].double()
    assert Y.shape[1] == min(48, 20) + min(8, 6)
    torch.testing.assert_close(torch.cdist(X, X), torch.cdist(Y, Y), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(Y @ basis.T.double(), X, atol=1e-4, rtol=1e-4)


def test_without_a_gpu_the_error_names_the_extra() -> None:
    with pytest.raises(RuntimeError, match=r"needs the data on a CUDA device, not on cpu.*nave\[gpu\]"):
        engine("cuml")(composite("none"), 3, torch.tensor([0]))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_labels_equal_the_factored_engines() -> None:
    pytest.importorskip("cuml")
    from sklearn.metrics import adjusted_rand_score

    on_gpu = composite("standardise", "cuda")
    ours, theirs = (each(on_gpu, 4, torch.tensor([0])) for each in (factored(), engine("cuml")))
    assert adjusted_rand_score(ours.labels.cpu().flatten(), theirs.labels.cpu().flatten()) > 0.99
    torch.testing.assert_close(ours.inertia, theirs.inertia, rtol=1e-3, atol=1e-3)
