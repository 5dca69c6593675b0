"""The steps of ``python -m nave.train``, in order."""

import hashlib
import json
import logging
import os
from importlib.metadata import version
from pathlib import Path

import safetensors.torch
from lightning import Trainer
from omegaconf import DictConfig
from torch import nn

from nave.build import instantiate
from nave.config import resolved
from nave.distributed import is_first
from nave.encoder.encoder import Encoder
from nave.runs.layout import RunFolder, write_json
from nave.runs.provenance import begin, device_name, of_data, of_encoder, recorded, save
from nave.runs.record import Record, read_record
from nave.runs.resume import check_same
from nave.training.build import (
    build_module,
    build_scheme,
    build_trainer,
    checkpoint_path,
    prepared_dataset,
    training_data,
    without_augmentation,
)
from nave.training.images import TrainingData
from nave.training.training_module import Snapshots, TrainingModule
from nave.weights.packaged import tensors_sha256
from nave.weights.schemes import CARD, RANDOM, SUFFIX, Card, encoder_path

log = logging.getLogger(__name__)


def train(cfg: DictConfig, folder: RunFolder, scheme: str) -> Record:
    """Trains an encoder and writes it to ``<folder>.safetensors``.

    An interrupted training is resumed after its last complete epoch; a finished one is not repeated.

    Args:
        cfg: the configuration of ``conf/train.yaml``.
        folder: where the record, the logs and the checkpoint are written.
        scheme: the name of the choice of the group ``scheme``.

    Returns:
        The record, as in run.json.

    Raises:
        ConflictingResultsError: if the folder has a training with another configuration, other weights or other data.
        ValueError: naming the key, its value and the choices; and the errors of the parts.
    """
    config = resolved(cfg)
    before = read_record(folder)
    check_same(before, Record(config=config), folder)
    if before and before["status"] == "ok" and encoder_path(folder.path).is_file():
        log.info("complete already: %s", encoder_path(folder.path))
        return before
    record = begin(config, before)
    save(folder, record)
    with recorded(folder, record):
        encoder: Encoder = instantiate(cfg.model).unfreeze()
        record |= of_encoder(encoder)
        check_same(before, record, folder)
        card = _card(cfg, encoder, scheme) | {"commit": record["commit"]}
        if scheme == RANDOM or not cfg.epochs:
            record["card"] = _untrained(cfg, encoder, folder, card, scheme)
        else:
            record["card"] = _learn(cfg, encoder, folder, card, record, before)
    return record


def _untrained(cfg: DictConfig, encoder: Encoder, folder: RunFolder, card: Card, scheme: str) -> Card:
    if cfg.epochs:
        raise ValueError(f"scheme={scheme} epochs={cfg.epochs}: nothing is trained, so epochs must be 0")
    return write_encoder(encoder_path(folder.path), encoder.network, card | {"epochs": 0, "metrics": {}})


def _learn(
    cfg: DictConfig, encoder: Encoder, folder: RunFolder, card: Card, record: Record, before: Record | None
) -> Card:
    scheme = build_scheme(cfg, encoder)
    images = prepared_dataset(cfg, cfg.data)
    record |= of_data(images)
    check_same(before, record, folder)
    data = training_data(cfg, images, scheme)
    module = build_module(cfg, encoder, scheme, data)
    card |= _data_card(data)

    def write(epochs: int, suffix: str = "", metrics: Card | None = None) -> Card:
        complete = card | {"epochs": epochs, "metrics": metrics or {}}
        return write_encoder(encoder_path(folder.path, suffix), module.result, complete)

    snapshots = Snapshots(cfg.snapshots, lambda epochs: write(epochs, f"-epoch{epochs}"))
    trainer = build_trainer(cfg, folder.path, len(record["attempts"]), data, [snapshots])
    record["device"] = device_name(trainer.strategy.root_device, trainer.world_size)
    save(folder, record)
    _announce(record, data, cfg, folder)
    checkpoint = checkpoint_path(folder.path)
    trainer.fit(module, data, ckpt_path=checkpoint if checkpoint.is_file() else None)
    _check_finite(module, cfg)
    metrics = _metrics(cfg, trainer, module, data)
    if not is_first():
        return {}
    final = write(trainer.current_epoch, metrics=metrics)
    checkpoint.unlink(missing_ok=True)
    return final


def _card(cfg: DictConfig, encoder: Encoder, scheme: str) -> Card:
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


def _data_card(data: TrainingData) -> Card:
    targets = data.train.targets
    return {
        "data": data.train.dataset.name,
        "images": len(data.train),
        "validation_images": len(data.validation or ()),
        "classes": list(targets.classes) if targets else None,
    }


def _metrics(cfg: DictConfig, trainer: Trainer, module: TrainingModule, data: TrainingData) -> Card:
    """Metrics of the final weights, in percent except the loss; on the training images if there are no others."""
    if module.classifier is None:
        return {}
    trainer.loggers = []  # they have logged each epoch already
    images = data.validation or without_augmentation(data.train, cfg.image_size)
    (metrics,) = trainer.validate(module, data.in_order(images), verbose=False)
    part = "validation" if data.validation else "train"
    return {name.replace("validation", part): round(value, 4) for name, value in sorted(metrics.items())}


def _check_finite(module: TrainingModule, cfg: DictConfig) -> None:
    if not all(bool(tensor.isfinite().all()) for tensor in module.result.state_dict().values()):
        raise ValueError(
            f"optimizer.lr={cfg.optimizer.lr}: the weights have become infinite or NaN; give a lower learning rate"
        )


def _announce(record: Record, data: TrainingData, cfg: DictConfig, folder: RunFolder) -> None:
    if is_first():
        log.info(
            "%s (from %s) on %s: %d images of %s, %d to validate, %d epochs, to %s",
            *(record["model"], record["weights"], record["device"], len(data.train), data.train.dataset.name),
            *(len(data.validation or ()), cfg.epochs, encoder_path(folder.path)),
        )


def write_encoder(path: Path, network: nn.Module, card: Card) -> Card:
    """Writes a network as safetensors, atomically; equal networks and cards give equal bytes.

    The card is stored in the file's metadata and, with the file's sha256, in a JSON beside it.

    Returns:
        The complete card, as in the JSON.
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
