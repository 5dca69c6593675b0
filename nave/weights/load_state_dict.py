"""Loads tensors into a timm network: all of them, or an error."""

import sys
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from nave.weights.file import WeightsError

SHOWN = 3  # tensors named in an error


def load_state_dict(model: nn.Module, state_dict: Mapping[str, Tensor], source: str) -> None:
    """Loads a state dict into a timm network, in place.

    timm's filter of the architecture is applied first: it renames the tensors of original releases and resamples
    position embeddings to the network's grid. Only the classification head may be missing or differ.

    Args:
        model: the network.
        state_dict: the tensors.
        source: name of the weights in errors.

    Raises:
        WeightsError: if any other tensor is missing, unexpected or of another shape; the network is then unchanged.
    """
    own = model.state_dict()
    given = _filtered(model, state_dict)
    mismatches = _mismatches(own, given, _head(model))
    if any(mismatches.values()):
        raise WeightsError(_message(model, source, mismatches))
    matching = {name: given[name] for name in own if name in given and given[name].shape == own[name].shape}
    model.load_state_dict(matching, strict=False)


@torch.no_grad()
def _filtered(model: nn.Module, state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors after timm's private ``checkpoint_filter_fn``, found in the module of the network's class."""
    convert = getattr(sys.modules[type(model).__module__], "checkpoint_filter_fn", None)
    if convert is None:
        return dict(state_dict)
    try:
        converted: dict[str, Tensor] = convert(dict(state_dict), model)
    except (KeyError, AttributeError, IndexError, RuntimeError, ValueError, AssertionError):
        return dict(state_dict)  # tensors of another network: the comparison reports them
    return converted


def _mismatches(own: Mapping[str, Tensor], given: Mapping[str, Tensor], head: str) -> dict[str, list[str]]:
    required = [name for name in own if not _optional(name, head)]
    return {
        "missing": [name for name in required if name not in given],
        "unexpected": [name for name in given if name not in own and not _optional(name, head)],
        "of another shape": [
            f"{name} {tuple(given[name].shape)} for {tuple(own[name].shape)}"
            for name in required
            if name in given and given[name].shape != own[name].shape
        ],
    }


def _head(model: nn.Module) -> str:
    """The first part of the classifier's name: ``head`` for ``head.fc``."""
    name: str = getattr(model, "pretrained_cfg", {}).get("classifier") or "head"
    return name.partition(".")[0]


def _optional(name: str, head: str) -> bool:
    return name.startswith(f"{head}.") or name.endswith("num_batches_tracked")


def _message(model: nn.Module, source: str, mismatches: Mapping[str, Sequence[str]]) -> str:
    architecture = getattr(model, "pretrained_cfg", {}).get("architecture") or type(model).__name__
    parts = [f"{len(names)} {kind} ({_first(names)})" for kind, names in mismatches.items() if names]
    return (
        f"the weights ({source}) are not those of {architecture}: tensors {'; '.join(parts)}. "
        f"Choose the model that they were saved from, or other weights."
    )


def _first(names: Sequence[str]) -> str:
    return ", ".join(names[:SHOWN]) + (", …" if len(names) > SHOWN else "")
