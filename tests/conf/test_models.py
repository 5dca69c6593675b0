"""Every model file: its names exist in timm, and its network takes the sizes it says it takes."""

from functools import cache
from typing import Any

import pytest
import timm
import torch
import yaml
from torch import nn

from nave.config import CONF
from nave.weights.loading import load_best
from nave.weights.packages import PACKAGES
from nave.weights.schemes import PACKAGE, RANDOM, resolve
from nave.weights.tensor_sets import TensorSet

MODELS: dict[str, dict[str, Any]] = {
    path.stem: yaml.safe_load(path.read_text())
    for path in sorted((CONF / "model").glob("*.yaml"))
    if path.stem != "timm"  # any network: tests/encoder/test_timm_network.py
}
PLACES = [
    (name, scheme, place)
    for name, model in MODELS.items()
    for scheme in model["schemes"]
    for place in [resolve(name, scheme, model["schemes"])[1]]
]
VARIANTS = [
    (name, place.partition(".")[0])
    for name, _, place in PLACES
    if "." in place and place.partition(".")[0] != MODELS[name]["architecture"]
]
WANTED = {
    "vits14": {"default", "dinov2", "random"},
    "vits14_reg": {"default", "dinov2", "random"},
    "vits16": {"default", "dino", "imagenet1k", "imagenet21k", "random"},
    "vitb16": {"default", "dino", "imagenet1k", "mae", "clip", "random"},
    "deit_s16": {"default", "random"},
    "resnet18": {"default", "imagenet1k", "random"},
    "resnet50": {"default", "imagenet1k", "random"},
    "convnext_t": {"default", "imagenet1k", "random"},
    "swin_t": {"default", "imagenet1k", "random"},
    "mixer_b16": {"default", "imagenet1k", "random"},
    "efficientnet_lite0": {"default", "imagenet1k", "random"},
    "vits16_dinov3": {"default", "dinov3", "random"},
    "vitb16_siglip2": {"default", "siglip2", "siglip", "random"},
    "vitb16_clip": {"default", "openai", "laion2b", "random"},
    "vitl16_mae": {"default", "mae", "random"},
    "vits14_eva02": {"default", "mim", "random"},
    "convnextv2_t": {"default", "fcmae", "imagenet1k", "random"},
}


@cache
def _network(name: str, architecture: str, num_classes: int) -> nn.Module:
    """On meta tensors, since only names and shapes count."""
    with torch.device("meta"):
        options = MODELS[name].get("options", {})
        network: nn.Module = timm.create_model(architecture, num_classes=num_classes, **options)
    return network.eval()


def _headless(name: str) -> nn.Module:
    return _network(name, MODELS[name]["architecture"], 0)


def test_every_model_is_there_with_its_schemes() -> None:
    assert WANTED.keys() <= MODELS.keys()
    assert all(schemes <= MODELS[name]["schemes"].keys() for name, schemes in WANTED.items())


@pytest.mark.parametrize("name", MODELS)
def test_a_file_says_what_it_is_called(name: str) -> None:
    assert MODELS[name]["name"] == name
    assert MODELS[name]["training"] == "${training}"
    assert MODELS[name]["weights"] == "${weights}"


@pytest.mark.parametrize(("name", "scheme", "place"), PLACES)
def test_every_place_exists(name: str, scheme: str, place: str) -> None:
    if place.startswith(PACKAGE):
        assert place.removeprefix(PACKAGE) in PACKAGES
    elif place != RANDOM:
        assert timm.get_pretrained_cfg(place, allow_unregistered=False).hf_hub_id.startswith("timm/")
        assert timm.models.is_model_pretrained(place)


@pytest.mark.parametrize(("name", "variant"), VARIANTS)
def test_a_variant_has_the_layers_of_the_files_architecture(name: str, variant: str) -> None:
    """It may differ in an activation or in a norm before the blocks, but `layers` must mean the same."""
    ours, theirs = _headless(name), _network(name, variant, 0)
    assert [block for block, _ in ours.blocks.named_children()] == [
        block for block, _ in theirs.blocks.named_children()
    ]


def test_the_packaged_models_are_those_that_errors_recommend() -> None:
    for package in PACKAGES.values():
        schemes = MODELS[package.model]["schemes"]
        assert resolve(package.model, "default", schemes)[1] == f"package:{package.distribution}"


@pytest.mark.parametrize("name", MODELS)
def test_released_weights_fit_the_headless_network(name: str) -> None:
    """What timm publishes is the state of a network with a head."""
    released = TensorSet((), _network(name, MODELS[name]["architecture"], 1000).state_dict())
    load_best(_headless(name), [released], name)


@pytest.mark.parametrize("name", MODELS)
def test_a_network_takes_any_size_or_says_which(name: str) -> None:
    model = MODELS[name]
    patch = 14 if "patch14" in model["architecture"] else 1
    fixed = model.get("image_size")
    for height, width in [(fixed, fixed)] if fixed else [(256, 320), (352, 480)]:
        images = torch.zeros(1, 3, height // patch * patch, width // patch * patch, device="meta")
        assert _headless(name).forward_features(images).shape[0] == 1


def test_only_a_network_that_takes_one_size_says_so() -> None:
    fixed = {name for name, model in MODELS.items() if "image_size" in model}
    assert fixed == {"mixer_b16"}
