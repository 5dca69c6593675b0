"""What timm knows of a network: its training schemes, the options that lift its input size, or its only size."""

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import timm
import torch
from torch import nn

from nave.encoder.encoder import Encoder
from nave.encoder.hooks import feature_info, layer_names
from nave.near_names import near
from nave.weights.hub import hub_config
from nave.weights.schemes import HUB, RANDOM

# options of timm's classes that let a network take images of any size
ANY_SIZE: dict[str, Any] = {"strict_img_size": False, "dynamic_img_size": True}
Known = tuple[str, dict[str, str], dict[str, Any]]  # architecture, training schemes, arguments of create_model
STEPS = ((1, 3), (4, -1))  # added to the points of the own grid: sizes tried are no whole number of windows, not square
ROUNDING = 3  # points by which a grid may differ from size / reduction: Inception pads nothing


class UnknownArchitectureError(ValueError):
    """A name that timm does not have; the message lists close ones."""


@dataclass(frozen=True)
class TimmNetwork:
    """What timm tells of a network.

    Args:
        architecture: timm's name, without a tag.
        schemes: timm's tags as training schemes; ``default`` is timm's own or that of the name, ``random`` is added.
        options: arguments of ``timm.create_model`` without which the network would take one size alone.
        image_size: (height, width) of the only images that it takes; None if it takes any.
    """

    architecture: str
    schemes: dict[str, str]
    options: dict[str, Any]
    image_size: tuple[int, int] | None


def timm_encoder(
    name: str,
    architecture: str | None,
    layers: Sequence[int | str],
    *,
    options: Mapping[str, Any] | None = None,
    **others: Any,
) -> Encoder:
    """Any network of timm as an encoder; ``options`` and schemes are timm's, as :func:`describe` finds them.

    The other arguments are those of :class:`Encoder`.

    Raises:
        UnknownArchitectureError: for a name that timm does not have; and what :class:`Encoder` raises.
    """
    network = describe(architecture)
    given = network.options | dict(options or {})
    return Encoder(name, network.architecture, layers, network.schemes, options=given, **others)


def one_size(architecture: str | None) -> int | list[int] | None:
    """What ``image_size`` has to be for this network: a side, or [height, width]; None for any size."""
    size = None if architecture is None else describe(architecture).image_size
    return size if size is None else size[0] if size[0] == size[1] else list(size)


@cache
def describe(name: str | None) -> TimmNetwork:
    """Asks timm, and tries a copy of the network without memory (on the meta device) at two sizes.

    Args:
        name: ``architecture``, ``architecture.tag`` or ``hf-hub:owner/repository``.

    Raises:
        UnknownArchitectureError: for a name that timm does not have, or none.
        nave.weights.file.WeightsError: for a repository that cannot be read.
    """
    if name is None:
        raise UnknownArchitectureError("model=timm needs architecture=NAME, a network of timm such as resnet50")
    architecture, schemes, own = _on_hub(name) if name.startswith(HUB) else _in_timm(name)
    with torch.device("meta"):
        network = timm.create_model(architecture, num_classes=0, **own)
        lifting = _lifting(network)
        lifted = timm.create_model(architecture, num_classes=0, **own, **lifting) if lifting else network
    if takes_any_size(lifted):
        return TimmNetwork(architecture, schemes, own | lifting, None)
    return TimmNetwork(architecture, schemes, own, input_size(network))


def check_layers(architecture: str, layers: Sequence[int | str], options: Mapping[str, Any]) -> None:
    """Looks for layers in a copy of the network without memory, before weights are read.

    Raises:
        nave.encoder.hooks.UnknownLayerError: for layers that it does not have.
    """
    network = describe(architecture)
    with torch.device("meta"):
        copy = timm.create_model(network.architecture, num_classes=0, **(network.options | dict(options)))
    layer_names(copy, layers)


def _in_timm(name: str) -> Known:
    architecture, _, tag = name.partition(".")
    own = timm.get_pretrained_cfg(architecture) if timm.is_model(architecture) else None
    if own is None:  # a name of the past too
        raise UnknownArchitectureError(_unknown(architecture))
    configs = timm.models.get_arch_pretrained_cfgs(architecture)
    schemes = {str(config.tag): place for place, config in configs.items() if config.tag and config.hf_hub_id}
    default = tag or own.tag
    if tag and tag not in schemes:
        raise UnknownArchitectureError(_unknown_tag(architecture, tag, schemes))
    return architecture, {"default": default if default in schemes else RANDOM, **schemes, RANDOM: RANDOM}, {}


def _on_hub(name: str) -> Known:
    """The only scheme of a repository is named like it."""
    config = hub_config(name)
    architecture = str(config["architecture"])
    if not timm.is_model(architecture):
        raise UnknownArchitectureError(f"architecture={name}: {_unknown(architecture)}")
    scheme = name.rpartition("/")[2]
    return architecture, {"default": scheme, scheme: name, RANDOM: RANDOM}, dict(config.get("model_args") or {})


def _unknown(architecture: str) -> str:
    hint = near(architecture, timm.list_models()) or " timm.list_models('*vit*') lists those with vit in them"
    return f"timm {timm.__version__} has no network {architecture!r}.{hint}"


def _unknown_tag(architecture: str, tag: str, schemes: Mapping[str, str]) -> str:
    choices = ", ".join(schemes) or "none (training=random is left)"
    return f"timm {timm.__version__} has no weights {architecture}.{tag}; its tags are: {choices}"


def _lifting(network: nn.Module) -> dict[str, Any]:
    """The first of ANY_SIZE that the network's class, or one that it derives from, declares."""
    declared = {name for cls in type(network).__mro__ for name in inspect.signature(cls).parameters}
    return next(({option: value} for option, value in ANY_SIZE.items() if option in declared), {})


def input_size(network: nn.Module) -> tuple[int, int]:
    """(height, width) of the images for which timm makes the network."""
    _, height, width = network.pretrained_cfg["input_size"]  # type: ignore[index]
    return int(height), int(width)


def takes_any_size(network: nn.Module) -> bool:
    """Whether a network on the meta device takes sizes other than its own, and gives grids of those sizes."""
    stride = max(info["reduction"] for info in feature_info(network))
    points = [side // stride for side in input_size(network)]
    sizes = [(stride * (points[0] + down), stride * (points[1] + right)) for down, right in STEPS]
    return all(_takes(network, size) for size in sizes)


@torch.inference_mode()
def _takes(network: nn.Module, size: tuple[int, int]) -> bool:
    images = torch.zeros(1, 3, *size, device="meta")
    try:
        grids = network.eval().forward_intermediates(images, intermediates_only=True)  # type: ignore[operator]
    except Exception:  # networks fail as they like: asserts, reshapes, indices
        return False
    reduction = feature_info(network)[-1]["reduction"]
    return all(
        abs(points - side / reduction) <= ROUNDING for points, side in zip(grids[-1].shape[2:], size, strict=True)
    )
