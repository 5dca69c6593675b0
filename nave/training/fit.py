"""The steps of ``python -m nave.train``, in order."""

import logging
import math
from functools import partial

from lightning import Trainer
from omegaconf import DictConfig

from nave.build import instantiate
from nave.config import resolved
from nave.encoder.encoder import Encoder
from nave.processes.distributed import StopAtOnce, is_rank_zero
from nave.runs.layout import RunFolder
from nave.runs.provenance import begin, device_name, of_data, of_encoder, recorded, save
from nave.runs.record import Record
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
from nave.training.data import TrainingData
from nave.training.encoder_file import begun_card, data_card, write_encoder
from nave.training.resume import discard_checkpoint, earlier_record, has_same_data, is_complete, may_resume, note_images
from nave.training.snapshots import Snapshots, check_snapshots, check_steps, suffixes
from nave.training.training_module import TrainingModule
from nave.weights.schemes import RANDOM, Card, encoder_path

log = logging.getLogger(__name__)


def fit(cfg: DictConfig, folder: RunFolder, scheme: str) -> Record:
    """Trains an encoder and writes it to ``<folder>.safetensors``.

    An interrupted training is resumed after its last complete epoch; a finished one is not repeated.

    Args:
        scheme: the name of the choice of the group ``scheme``.

    Returns:
        The record, as in run.json.

    Raises:
        ConflictingResultsError: if the folder has a training with another configuration, other weights, data or code.
        ValueError: naming the key, its value and the choices; and the errors of the parts.
    """
    before = earlier_record(folder)
    record = begin(resolved(cfg), before)
    check_same(before, record, folder)
    learns = scheme != RANDOM and cfg.epochs
    if before and is_complete(cfg, folder, before):
        encoder: Encoder = instantiate(cfg.model)
        check_same(before, record | of_encoder(encoder), folder)
        if not learns or has_same_data(cfg, folder, encoder):
            log.info("complete already: %s", encoder_path(folder.path))
            discard_checkpoint(folder)
            return before
    save(folder, record)
    with recorded(folder, record):
        check_snapshots(cfg)
        encoder = instantiate(cfg.model).unfreeze()
        record |= of_encoder(encoder)
        check_same(before, record, folder)
        card = begun_card(cfg, encoder, scheme) | {"commit": record["commit"]}
        if learns:
            record["card"] = _learn(cfg, encoder, folder, card, record, before)
        else:
            record["card"] = _untrained(cfg, encoder, folder, card, scheme)
    discard_checkpoint(folder)  # not before the record says that nothing is left to resume
    return record


def _untrained(cfg: DictConfig, encoder: Encoder, folder: RunFolder, card: Card, scheme: str) -> Card:
    if cfg.epochs:
        raise ValueError(f"scheme={scheme} epochs={cfg.epochs}: nothing is trained, so epochs must be 0")
    check_steps(cfg.snapshot_steps, 0)
    card |= {"epochs": 0, "steps": 0, "metrics": {}}
    for suffix in suffixes(cfg, 0, 0):
        write_encoder(folder, suffix, encoder.network, card)
    return write_encoder(folder, "", encoder.network, card)


def _learn(
    cfg: DictConfig, encoder: Encoder, folder: RunFolder, card: Card, record: Record, before: Record | None
) -> Card:
    scheme = build_scheme(cfg, encoder)
    images = prepared_dataset(cfg, cfg.data)
    record |= of_data(images)
    check_same(before, record, folder)
    data = training_data(cfg, images, scheme)
    module = build_module(cfg, encoder, scheme, data)
    resumed = before is not None and may_resume(cfg, folder, data, images)
    if is_rank_zero() and not resumed:
        note_images(folder, data, images)
    write = partial(_write, cfg, folder, module, card | data_card(data))
    snapshots = Snapshots(cfg.snapshots, cfg.snapshot_steps, write)
    trainer = build_trainer(cfg, folder.path, len(record["attempts"]), data, [snapshots, StopAtOnce()])
    record["device_type"] = trainer.strategy.root_device.type
    check_same(before, record, folder)
    record["device"] = device_name(trainer.strategy.root_device, trainer.world_size)
    save(folder, record)
    _announce(record, data, cfg, folder)
    trainer.fit(module, data, ckpt_path=checkpoint_path(folder.path) if resumed else None)
    _check_finite(module, cfg)
    epochs, steps = trainer.current_epoch, trainer.global_step
    metrics = _metrics(cfg, trainer, module, data)
    return write("", epochs, steps, metrics) if is_rank_zero() else {}


def _write(
    cfg: DictConfig,
    folder: RunFolder,
    module: TrainingModule,
    card: Card,
    suffix: str,
    epochs: int,
    steps: int,
    metrics: Card | None = None,
) -> Card:
    """Writes the network as it is after so many epochs and optimiser steps."""
    _check_finite(module, cfg)
    done = {"epochs": epochs, "steps": steps, "metrics": metrics or {}}
    return write_encoder(folder, suffix, module.result, card | done)


def _metrics(cfg: DictConfig, trainer: Trainer, module: TrainingModule, data: TrainingData) -> Card:
    """Metrics of the final weights, in percent except the loss; on the training images if there are no others."""
    if module.classifier is None and data.validation is None:
        return {}
    trainer.loggers = []  # they have logged each epoch already
    images = data.in_order(without_augmentation(data.train, cfg.image_size))
    (metrics,) = trainer.validate(module, data.val_dataloader() if data.validation else images, verbose=False)
    part = "validation" if data.validation else "train"
    if wrong := {name: value for name, value in metrics.items() if not math.isfinite(value)}:
        name, value = min(wrong.items())
        raise ValueError(f"optimizer.lr={cfg.optimizer.lr}: {name} is {value}; give a lower learning rate")
    return {name.replace("validation", part): round(value, 4) for name, value in sorted(metrics.items())}


def _check_finite(module: TrainingModule, cfg: DictConfig) -> None:
    if not all(bool(tensor.isfinite().all()) for tensor in module.result.state_dict().values()):
        raise ValueError(
            f"optimizer.lr={cfg.optimizer.lr}: the weights have become infinite or NaN; give a lower learning rate"
        )


def _announce(record: Record, data: TrainingData, cfg: DictConfig, folder: RunFolder) -> None:
    if is_rank_zero():
        log.info(
            "%s (from %s) on %s: %d images of %s, %d to validate, %d epochs, to %s",
            *(record["model"], record["weights"], record["device"], len(data.train), data.train.dataset.name),
            *(len(data.validation or ()), cfg.epochs, encoder_path(folder.path)),
        )
