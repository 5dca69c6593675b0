"""Tensors into a timm network: all of them, or an error."""

import sys
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from nave.weights.error import WeightsError

SHOWN = 3


def load_into(model: nn.Module, state_dict: Mapping[str, Tensor], source: str) -> None:
    """Load a timm network in place; `source` names the weights in errors.

    timm's own filter of the architecture runs first: it renames tensors of original releases and resamples
    position embeddings to the network's grid. Classification heads may be missing or differ, on either side.
    Raises WeightsError, the network untouched, if any other tensor is missing, left over or of another shape.
    """
    wanted = model.state_dict()
    given = _filtered(model, state_dict)
    faults = _faults(wanted, given, _head(model))
    if any(faults.values()):
        raise WeightsError(_misfit(model, source, faults))
    fitting = {name: given[name] for name in wanted if name in given and given[name].shape == wanted[name].shape}
    model.load_state_dict(fitting, strict=False)


@torch.no_grad()
def _filtered(model: nn.Module, state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What timm would load; its loader gets the filter privately, but it lies beside the network's class."""
    convert = getattr(sys.modules[type(model).__module__], "checkpoint_filter_fn", None)
    if convert is None:
        return dict(state_dict)
    try:
        converted: dict[str, Tensor] = convert(dict(state_dict), model)
    except (KeyError, AttributeError, IndexError, RuntimeError, ValueError, AssertionError):
        return dict(state_dict)  # tensors of another network: the comparison will say which
    return converted


def _faults(wanted: Mapping[str, Tensor], given: Mapping[str, Tensor], head: str) -> dict[str, list[str]]:
    body = [name for name in wanted if not _dispensable(name, head)]
    return {
        "missing": [name for name in body if name not in given],
        "left over": [name for name in given if name not in wanted and not _dispensable(name, head)],
        "of another shape": [
            f"{name} {tuple(given[name].shape)} for {tuple(wanted[name].shape)}"
            for name in body
            if name in given and given[name].shape != wanted[name].shape
        ],
    }


def _head(model: nn.Module) -> str:
    """First part of the classifier's name: `head` for `head.fc`."""
    name: str = getattr(model, "pretrained_cfg", {}).get("classifier") or "head"
    return name.partition(".")[0]


def _dispensable(name: str, head: str) -> bool:
    return name.startswith(f"{head}.") or name.endswith("num_batches_tracked")


def _misfit(model: nn.Module, source: str, faults: Mapping[str, Sequence[str]]) -> str:
    architecture = getattr(model, "pretrained_cfg", {}).get("architecture") or type(model).__name__
    parts = [f"{len(names)} {fault} ({_some(names)})" for fault, names in faults.items() if names]
    return (
        f"the weights ({source}) are not those of {architecture}: tensors {'; '.join(parts)}. "
        f"Choose the model that they were saved from, or other weights."
    )


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:SHOWN]) + (", …" if len(names) > SHOWN else "")
