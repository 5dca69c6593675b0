"""The file that a training leaves: tensors, and the card that says what they were made of."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import safetensors.torch
from torch import nn

from nave.results import write_json
from nave.weights.cache import tensors_sha256
from nave.weights.trained import CARD, SUFFIX

Card = dict[str, Any]


def encoder_path(folder: Path, suffix: str = "") -> Path:
    """``outputs/encoders/NAME.safetensors`` for the training's folder ``outputs/encoders/NAME``."""
    return folder.parent / f"{folder.name}{suffix}{SUFFIX}"


def write_encoder(path: Path, network: nn.Module, card: Card) -> Card:
    """All of the file or nothing, the card inside and, with the file's sha256, beside it; the completed card.

    The same network and card give the same bytes.
    """
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    inside = {**card, "name": path.name.removesuffix(SUFFIX), "tensors_sha256": tensors_sha256(tensors)}
    content = safetensors.torch.save(tensors, {CARD: json.dumps(inside, sort_keys=True)})
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_bytes(content)
    temporary.replace(path)
    complete = inside | {"sha256": hashlib.sha256(content).hexdigest()}
    write_json(path.with_name(f"{complete['name']}.json"), complete)
    return complete
