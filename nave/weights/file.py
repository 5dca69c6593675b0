"""Weights in a file: safetensors, or a torch file read without running code."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor


class WeightsError(ValueError):
    """Weights do not exist, cannot be loaded or do not fit the network; the message gives the cure."""


# averaged weights come first, since authors evaluate those
CONTAINERS = ("state_dict_ema", "model_ema", "teacher", "state_dict", "model")
PREFIXES = ("module.", "_orig_mod.", "model.", "teacher.", "backbone.", "encoder.", "network.")


def file_weights(path: Path) -> tuple[dict[str, Tensor], str]:
    """The named tensors of a file, unwrapped by :func:`unwrap`, and the sha256 of its bytes.

    Raises:
        WeightsError: if the file does not exist, cannot be read safely, or holds no named tensors.
    """
    if not path.is_file():
        raise WeightsError(f"there is no weights file {path.absolute()}; give weights=FILE (.safetensors or torch)")
    tensors = unwrap(_read(path))
    if not tensors:
        raise WeightsError(f"{path} holds no named tensors; save the network's state_dict, best as .safetensors")
    with path.open("rb") as stream:
        return tensors, hashlib.file_digest(stream, "sha256").hexdigest()


def unwrap(content: object) -> dict[str, Tensor]:
    """Extracts the network's tensors from a training checkpoint.

    Opens nested CONTAINERS, and removes a prefix (one of PREFIXES) that most tensors share. Tensors without that prefix
    are dropped: beside ``backbone.`` they belong to a projection head.
    """
    if not isinstance(content, Mapping):
        return {}
    for container in CONTAINERS:
        if isinstance(content.get(container), Mapping):
            return unwrap(content[container])
    return _without_prefix({name: tensor for name, tensor in content.items() if isinstance(tensor, Tensor)})


def _without_prefix(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    for prefix in PREFIXES:
        inside = {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
        if 2 * len(inside) > len(tensors):
            return _without_prefix(inside)
    return tensors


def _read(path: Path) -> object:
    """The content, whatever the suffix says: safetensors begins with eight bytes of length and a brace."""
    with path.open("rb") as stream:  # of a path, torch believes the suffix
        start = stream.read(9)
        stream.seek(0)
        try:
            if start[8:] == b"{":
                return safetensors.torch.load_file(path)
            return torch.load(stream, map_location="cpu", weights_only=True)
        except Exception as error:  # torch raises whatever pickle, zipfile and its own reader raise
            raise WeightsError(_unreadable(path, start, error)) from error


def _unreadable(path: Path, start: bytes, error: Exception) -> str:
    reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    if path.suffix == ".safetensors":
        kind = "" if start[8:] == b"{" else ", and torch cannot read it either"
        return f"{path} is not a whole safetensors file{kind} ({reason}); get it again"
    kind = "it begins like safetensors; " if start[8:] == b"{" else ""
    return (
        f"{path} is not a torch file of plain tensors ({kind}{reason}); save the network's state_dict, "
        f"best as .safetensors"
    )
