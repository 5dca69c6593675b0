"""The parts of a run with the options that ``conf/`` declares, some of them changed."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from hydra.utils import get_class
from omegaconf import OmegaConf
from torch import Tensor

from nave.config import CONF
from nave.encoder.hooks import Activations
from nave.localization.interface import PatchTokens, patch_tokens
from nave.localization.objectness import Objectness

UNTRAINED = {"default": "random", "random": "random"}  # the schemes of a network whose weights are always random


@cache
def declared(choice: str) -> tuple[Any, dict[str, Any]]:
    """Class and options of a file of ``conf/``, for example ``clustering/factored``."""
    node: Any = OmegaConf.to_container(OmegaConf.load(CONF / f"{choice}.yaml"))
    return get_class(node.pop("_target_")), node


def part(choice: str, **changes: Any) -> Any:
    """The object that a file of ``conf/`` declares, with ``changes`` to its options."""
    cls, options = declared(choice)
    return cls(**{**options, **changes})


def composer(**changes: Any) -> Any:
    return part("composite/nave", **changes)


def engine(name: str, **changes: Any) -> Any:
    return part(f"clustering/{name}", **changes)


def factored(**changes: Any) -> Any:
    return engine("factored", **changes)


def localizer(name: str, **changes: Any) -> Any:
    return part(f"localization/{name}", **changes)


def nave_localizer(**changes: Any) -> Any:
    return localizer("nave", **{"foreground": "off", **changes})


def objectness(**changes: Any) -> Objectness:
    """The score that :func:`nave_localizer` ranks regions by."""
    options = declared("localization/nave")[1]
    return Objectness(**{"sigma": options["sigma"], "border_penalty": options["border_penalty"], **changes})


def encoder(name: str, **changes: Any) -> Any:
    """A model of ``conf/model``, untrained unless ``training`` or ``weights`` are given."""
    return part(f"model/{name}", **{"training": "random", "weights": None, "seed": 0, **changes})


def activations(
    grids: Mapping[str, Tensor] | Sequence[Tensor], padded: tuple[int, int], image: tuple[int, int] | None = None
) -> Activations:
    """Grids as an encoder returns them; those of a sequence are named ``layer0``, ``layer1`` and so on."""
    named = dict(grids) if isinstance(grids, Mapping) else {f"layer{i}": grid for i, grid in enumerate(grids)}
    return Activations(named, padded, image or padded)


def tokens(grid: Tensor, padded: tuple[int, int], image: tuple[int, int] | None = None) -> PatchTokens:
    """The ``(C, h, w)`` grid of one image as a localizer receives it."""
    return patch_tokens(activations([grid[None]], padded, image))[0]
