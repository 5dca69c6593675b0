import json
from pathlib import Path

import pytest
import safetensors.torch
import timm

from nave.weights import WeightsError, load_checkpoint
from nave.weights.trained import CARD

SCHEMES = {"default": "random", "random": "random", "tiny": "test_vit2.r160_in1k"}


@pytest.fixture
def encoders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """outputs/encoders with one of them, in the working directory."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "outputs" / "encoders"
    folder.mkdir(parents=True)
    write(folder / "mine.safetensors", "test_vit")
    return folder


def write(path: Path, architecture: str) -> None:
    card = {"name": path.stem, "model": "tiny", "architecture": architecture, "mean": [0.1] * 3, "std": [0.2] * 3}
    tensors = timm.create_model("test_vit", num_classes=0).state_dict()
    safetensors.torch.save_file(tensors, path, {CARD: json.dumps(card)})


@pytest.mark.parametrize("training", ["mine", "outputs/encoders/mine.safetensors"])
def test_a_name_or_a_file_is_an_encoder_with_its_own_statistics(encoders: Path, training: str) -> None:
    found = load_checkpoint("tiny", "test_vit", training, SCHEMES)
    assert (found.training, found.source, found.architecture) == ("mine", "trained mine.safetensors", "test_vit")
    assert (found.mean, found.std) == ((0.1,) * 3, (0.2,) * 3)
    assert found.sha256 is not None
    assert found.state_dict is not None


def test_a_scheme_comes_before_an_encoder_of_its_name(encoders: Path) -> None:
    write(encoders / "random.safetensors", "test_vit")
    assert load_checkpoint("tiny", "test_vit", "random", SCHEMES).source == "random"


def test_the_architecture_may_be_that_of_one_of_the_schemes(encoders: Path) -> None:
    write(encoders / "other.safetensors", "test_vit2")
    assert load_checkpoint("tiny", "test_vit", "other", SCHEMES).architecture == "test_vit2"


def test_another_models_encoder_is_refused(encoders: Path) -> None:
    with pytest.raises(WeightsError, match=r"an encoder of model=tiny \(test_vit\), not of model=r18 \(resnet18\)"):
        load_checkpoint("r18", "resnet18", "mine", {"random": "random"})


def test_names_that_are_not_there_list_those_that_are(encoders: Path) -> None:
    with pytest.raises(WeightsError, match=r"it has: default, random, tiny, and of outputs/encoders: mine"):
        load_checkpoint("tiny", "test_vit", "yours", SCHEMES)
    with pytest.raises(WeightsError, match=r"Did you mean training=mine\?"):
        load_checkpoint("tiny", "test_vit", "mime", SCHEMES)
    with pytest.raises(WeightsError, match=r"there is no trained encoder .*Did you mean outputs/encoders/mine"):
        load_checkpoint("tiny", "test_vit", "outputs/encoders/mime.safetensors", SCHEMES)


def test_a_file_without_a_card_is_refused_with_the_way_to_use_it(encoders: Path) -> None:
    safetensors.torch.save_file(timm.create_model("test_vit").state_dict(), encoders / "bare.safetensors")
    with pytest.raises(WeightsError, match=r"has no card.*training=random weights=outputs"):
        load_checkpoint("tiny", "test_vit", "bare", SCHEMES)
    (encoders / "torn.safetensors").write_bytes(b"123")
    with pytest.raises(WeightsError, match="not a whole safetensors file"):
        load_checkpoint("tiny", "test_vit", "torn", SCHEMES)


def test_two_files_of_weights_are_one_too_many(encoders: Path) -> None:
    with pytest.raises(WeightsError, match="leave one out"):
        load_checkpoint("tiny", "test_vit", "mine", SCHEMES, weights="outputs/encoders/mine.safetensors")
