"""Weights in a file: safetensors, or a torch file read without running code."""

import hashlib
import re
from pathlib import Path

import safetensors.torch

from nave.weights.pickles import read_torch
from nave.weights.tensor_sets import TensorSet, tensor_sets

# torch, of modules that it never allows, and of what a stand-in returned
BLOCKED = re.compile(r"unsupported GLOBAL (?P<name>\S+)|unrecognized function <(?P<made>\S+) object")


class WeightsError(ValueError):
    """Weights do not exist, cannot be loaded or do not fit the network; the message gives the cure."""


def file_weights(path: Path) -> tuple[tuple[TensorSet, ...], str]:
    """The named tensors of a file, by the containers of a training checkpoint, and the sha256 of its bytes.

    Raises:
        WeightsError: if the file does not exist, cannot be read safely, or holds no named tensors.
    """
    if not path.is_file():
        raise WeightsError(f"there is no weights file {path.absolute()}; give weights=FILE (.safetensors or torch)")
    content = _read(path)
    try:
        sets = tuple(tensor_sets(content))
    except RecursionError as error:
        raise WeightsError(f"{path} is nested too deeply to be a checkpoint; get it again") from error
    if not sets:
        raise WeightsError(f"{path} holds no named tensors; save the network's state_dict, best as .safetensors")
    with path.open("rb") as stream:
        return sets, hashlib.file_digest(stream, "sha256").hexdigest()


def _read(path: Path) -> object:
    """The content, whatever the suffix says: safetensors begins with eight bytes of length and a brace."""
    with path.open("rb") as stream:  # of a path, torch believes the suffix
        start = stream.read(9)
        stream.seek(0)
        try:
            return safetensors.torch.load_file(path) if start[8:] == b"{" else read_torch(stream)
        except Exception as error:  # torch raises whatever pickle, zipfile and its own reader raise
            raise WeightsError(_unreadable(path, start, error)) from error


def _unreadable(path: Path, start: bytes, error: Exception) -> str:
    if blocked := BLOCKED.search(str(error)):
        called = blocked["name"] or blocked["made"]
        return (
            f"{path} is refused: it calls {called}, which no weights need. Nothing of it was run; get the weights from "
            "another place, best as .safetensors"
        )
    reason = _reason(error)
    if path.suffix == ".safetensors":
        kind = "" if start[8:] == b"{" else ", and torch cannot read it either"
        return f"{path} is not a whole safetensors file{kind} ({reason}); get it again"
    kind = "it begins like safetensors; " if start[8:] == b"{" else ""
    return (
        f"{path} is not a torch file of plain tensors ({kind}{reason}); save the network's state_dict, "
        f"best as .safetensors"
    )


def _reason(error: Exception) -> str:
    """The first line of an error; of torch's, which begins with advice to run the file's code, the line that counts."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if lines and lines[0].startswith("Weights only load failed"):
        lines = [line for line in lines[1:] if "weights_only" not in line and "documentation" not in line] or lines
    return lines[0] if lines else type(error).__name__
