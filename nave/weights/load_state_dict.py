"""Loads tensors into a timm network: all of them, or an error."""

import sys
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from nave.weights.file import WeightsError

SHOWN = 3  # tensors named in an error
POSITIONS = ("pos_embed", "patch_pos", "rel_pos", "relative_position", "attention_biases")  # timm's names for them

Resampled = dict[str, tuple[list[int], list[int]]]  # name of a position embedding -> shape in the file, in the network


def load_state_dict(model: nn.Module, state_dict: Mapping[str, Tensor], source: str) -> Resampled:
    """Loads a state dict into a timm network, in place.

    timm's filter of the architecture is applied first: it renames the tensors of original releases and resamples
    position embeddings to the network's grid. It would also resample the kernel of the patch embedding, which is
    refused: that is another network. Only the classification head may be missing or differ.

    Args:
        model: the network.
        state_dict: the tensors.
        source: name of the weights in errors.

    Returns:
        The position embeddings that were resampled.

    Raises:
        WeightsError: if any other tensor is missing, unexpected, of another shape or not finite; the network is then
            unchanged.
    """
    own = model.state_dict()
    converted = _filtered(model, state_dict)
    computed = _computed(state_dict, converted)
    given = {name: tensor if _is_position(name) else computed.get(name, tensor) for name, tensor in converted.items()}
    mismatches = _mismatches(own, given, _head(model))
    if any(mismatches.values()):
        raise WeightsError(_message(model, source, mismatches))
    matching = {name: given[name] for name in own if name in given and given[name].shape == own[name].shape}
    _check_finite(own, matching, source)
    model.load_state_dict(matching, strict=False)
    return {name: (list(computed[name].shape), list(own[name].shape)) for name in matching if name in computed}


def _computed(state_dict: Mapping[str, Tensor], converted: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The originals of the tensors that the filter did not just rename or reshape, by their name after the filter.

    A tensor of the same name must keep its number of elements, and a position embedding of the same shape its values.
    A kernel under another name must have the number of elements of some tensor in the file.
    """
    sizes = {tensor.numel() for tensor in state_dict.values()}
    originals: dict[str, Tensor] = {}
    for name, tensor in converted.items():
        before = state_dict.get(name)
        if before is not None:
            same = before.numel() == tensor.numel()
            has_values = not (before.is_meta or tensor.is_meta) and before.shape == tensor.shape
            if not same or (_is_position(name) and has_values and not torch.equal(before, tensor)):
                originals[name] = before
        elif tensor.ndim >= 4 and tensor.numel() not in sizes:
            kernels = (t for t in state_dict.values() if t.ndim == tensor.ndim and t.shape[:2] == tensor.shape[:2])
            originals[name] = next(kernels, tensor[:0])
    return originals


def _is_position(name: str) -> bool:
    return any(part in name for part in POSITIONS)


def _check_finite(own: Mapping[str, Tensor], given: Mapping[str, Tensor], source: str) -> None:
    """Refuses NaN and infinite numbers, also those that only appear in the precision of the network."""
    values = {name: tensor.to(own[name].dtype) for name, tensor in given.items() if not own[name].is_meta}
    bad = [name for name, tensor in values.items() if not bool(tensor.isfinite().all())]
    if bad:
        raise WeightsError(
            f"the weights ({source}) hold NaN or infinite numbers in {len(bad)} of {len(given)} tensors "
            f"({_first(bad)}): get them again, or choose other weights"
        )


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
