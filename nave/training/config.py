"""The schema of a training's configuration, and the name of what it makes."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING, OmegaConf

from nave.weights.scheme import RANDOM

TOLD = ("model", "data", "scheme", "seed")  # part of the name anyway
FREE = ("name", "outputs", "logger", "snapshots", "loader.num_workers", "data.root", "data.download")
BELOW = ("logger.", "trainer.", "hydra.", "hydra/")


@dataclass
class TrainConfig:
    """Keys of ``conf/train.yaml``; a key that is not here is refused."""

    name: str | None = None
    outputs: str = MISSING
    seed: int = MISSING
    epochs: int = MISSING
    training: str = MISSING
    weights: str | None = None
    image_size: int = MISSING
    exclude: list[str] = MISSING
    watermark: str | None = None
    watermark_probability: float = MISSING
    watermark_size: float = MISSING
    validation: Any = MISSING
    label_smoothing: float = MISSING
    warmup: float = MISSING
    ema: float | None = None
    patience: int | None = None
    snapshots: list[int] = MISSING
    model: dict[str, Any] = field(default_factory=dict)
    data: dict[str, Any] = field(default_factory=dict)
    scheme: dict[str, Any] = field(default_factory=dict)
    augmentation: dict[str, Any] = field(default_factory=dict)
    optimizer: dict[str, Any] = field(default_factory=dict)
    loader: dict[str, Any] = field(default_factory=dict)
    trainer: dict[str, Any] = field(default_factory=dict)
    logger: dict[str, Any] = field(default_factory=dict)


def register() -> None:
    """Makes the schema and the encoders' names known to Hydra."""
    ConfigStore.instance().store(name="train_schema", node=TrainConfig)
    OmegaConf.register_new_resolver("encoder_name", encoder_name, replace=True)


def encoder_name(name: str | None, model: str, data: str, scheme: str, seed: int, overrides: Sequence[str]) -> str:
    """``resnet18-stl10-supervised-exclude_dog-seed0``: what was chosen, unless there is a ``name``.

    What does not change the weights, or says where things are, is left out; untrained weights know no data.
    """
    if name is not None:
        return name
    others = [_plain(override) for override in sorted(overrides) if not _is(override, (*TOLD, *FREE))]
    if scheme == RANDOM:
        data, others = "", [other for other in others if other.startswith("model.")]
    chosen = filter(None, (model, data, scheme))
    full = "-".join([*chosen, *others, f"seed{seed}"])
    return full if len(full) <= 150 else f"{full[:140]}-{hashlib.sha256(full.encode()).hexdigest()[:8]}"


def _is(override: str, keys: Sequence[str]) -> bool:
    key = override.lstrip("+~").partition("=")[0]
    return key in keys or key.startswith(BELOW)


def _plain(override: str) -> str:
    """``exclude=[dog,cat]`` as ``exclude_dog+cat``; of a file its name."""
    key, _, value = override.lstrip("+~").partition("=")
    plain = re.sub(r"[^\w.-]+", "+", value.rpartition("/")[2].removesuffix(".safetensors")).strip("+")
    return f"{key}_{plain}"
