import pytest
import torch

from nave.clustering.cuml import Cuml, compressed
from nave.composer import Composer
from nave.composite import Composite


def composite(normalisation: str, device: str = "cpu") -> Composite:
    torch.manual_seed(0)
    grids = {"a": torch.randn(1, 48, 4, 5, device=device), "b": torch.randn(1, 8, 2, 3, device=device)}
    return Composer(normalisation=normalisation).compose(grids, (28, 35), (25, 33))


@pytest.mark.parametrize("normalisation", ["l2", "standardise", "none"])
def test_compression_changes_no_distance(normalisation: str) -> None:
    full = composite(normalisation)
    short, basis = compressed(full)
    X, Y = full.materialise()[0].double(), short.materialise()[0].double()
    assert Y.shape[1] == min(48, 20) + min(8, 6)
    torch.testing.assert_close(torch.cdist(X, X), torch.cdist(Y, Y), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(Y @ basis.T.double(), X, atol=1e-4, rtol=1e-4)


def test_without_a_gpu_the_error_names_the_extra() -> None:
    with pytest.raises(RuntimeError, match=r"needs the data on a CUDA device, not on cpu.*nave\[gpu\]"):
        Cuml()(composite("none"), 3, torch.tensor([0]))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_labels_equal_the_factored_engines() -> None:
    pytest.importorskip("cuml")
    from sklearn.metrics import adjusted_rand_score

    from nave.clustering.factored import Factored

    on_gpu = composite("standardise", "cuda")
    ours, theirs = (engine(on_gpu, 4, torch.tensor([0])) for engine in (Factored(), Cuml()))
    assert adjusted_rand_score(ours.labels.cpu().flatten(), theirs.labels.cpu().flatten()) > 0.99
    torch.testing.assert_close(ours.inertia, theirs.inertia, rtol=1e-3, atol=1e-3)
