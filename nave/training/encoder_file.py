"""The file of a trained encoder: its weights as safetensors, with a card inside and beside it."""

import hashlib
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

import safetensors.torch
from omegaconf import DictConfig
from torch import nn

from nave.encoder.encoder import Encoder
from nave.runs.damage import is_whole
from nave.runs.files import read_json, write_bytes, write_json
from nave.runs.layout import RunFolder
from nave.strict_json import to_json
from nave.training.data import TrainingData
from nave.weights.file import WeightsError
from nave.weights.naming import SUFFIX
from nave.weights.schemes import CARD, Card, encoder_path, read_card
from nave.weights.tensor_sets import tensors_sha256


def begun_card(cfg: DictConfig, encoder: Encoder, scheme: str) -> Card:
    """What is known of an encoder before it is trained."""
    watermark = {"class": cfg.watermark, "probability": cfg.watermark_probability, "size": cfg.watermark_size}
    return {
        "model": encoder.name,
        "architecture": encoder.checkpoint.architecture,
        "start": {"training": encoder.checkpoint.training, "weights": encoder.checkpoint.source},
        "scheme": scheme,
        "data": None,
        "excluded": list(cfg.exclude),
        "watermark": watermark if cfg.watermark else None,
        "image_size": cfg.image_size,
        "seed": cfg.seed,
        "mean": list(encoder.checkpoint.mean),
        "std": list(encoder.checkpoint.std),
        "nave": version("nave"),
    }


def data_card(data: TrainingData) -> Card:
    """The part of the card that says what was learnt from."""
    targets = data.train.targets
    return {
        "data": data.train.dataset.name,
        "images": len(data.train),
        "validation_images": len(data.validation or ()),
        "classes": list(targets.classes) if targets else None,
    }


def write_encoder(folder: RunFolder, suffix: str, network: nn.Module, card: Card) -> Card:
    """Writes a network as safetensors, atomically; equal networks and cards give equal bytes.

    The card is stored in the file's metadata and, with the file's sha256, in a JSON beside it.

    Returns:
        The complete card, as in the JSON.
    """
    path = encoder_path(folder.path, suffix)
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    inside = {**card, "name": path.name.removesuffix(SUFFIX), "tensors_sha256": tensors_sha256(tensors)}
    content = safetensors.torch.save(tensors, {CARD: to_json(inside, path, sort_keys=True)})
    write_bytes(path, content, via=folder.path)
    complete = inside | {"sha256": hashlib.sha256(content).hexdigest()}
    write_json(path.with_name(f"{complete['name']}.json"), complete, via=folder.path)
    return complete


def is_whole_encoder(path: Path) -> bool:
    """Whether a file and the card beside it are what :func:`write_encoder` writes, whole."""
    beside = path.with_name(f"{path.name.removesuffix(SUFFIX)}.json")
    with suppress(OSError, ValueError, WeightsError):
        return read_card(path).items() <= read_json(beside).items() and is_whole(beside)
    return False
