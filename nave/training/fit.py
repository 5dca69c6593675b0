"""The steps of ``python -m nave.train``, in order."""

import hashlib
import logging
import math
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from zipfile import is_zipfile

import safetensors.torch
from lightning import Trainer
from omegaconf import DictConfig
from torch import nn

from nave.build import instantiate
from nave.config import resolved
from nave.data.interface import Dataset
from nave.distributed import StopAtOnce, is_first
from nave.encoder.encoder import Encoder
from nave.runs.layout import RunFolder, read_json, write_bytes, write_json
from nave.runs.provenance import begin, device_name, note_contents, of_data, of_encoder, recorded, save
from nave.runs.record import Record, read_record
from nave.runs.resume import ConflictingResultsError, changed_images, check_same, is_whole, named
from nave.strict_json import to_json
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
from nave.weights.file import WeightsError
from nave.weights.packaged import tensors_sha256
from nave.weights.schemes import CARD, RANDOM, SUFFIX, Card, encoder_path, read_card

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
        ConflictingResultsError: if the folder has a training with another configuration, other weights, data or code.
        ValueError: naming the key, its value and the choices; and the errors of the parts.
    """
    before = _before(folder)
    record = begin(resolved(cfg), before)
    check_same(before, record, folder)
    learns = scheme != RANDOM and cfg.epochs
    if before and _is_complete(cfg, folder, before):
        encoder: Encoder = instantiate(cfg.model)
        check_same(before, record | of_encoder(encoder), folder)
        if not learns or _has_same_data(folder, *_data(cfg, encoder)):
            log.info("complete already: %s", encoder_path(folder.path))
            _discard_checkpoint(folder)
            return before
    save(folder, record)
    with recorded(folder, record):
        _check_snapshots(cfg)
        encoder = instantiate(cfg.model).unfreeze()
        record |= of_encoder(encoder)
        check_same(before, record, folder)
        card = _card(cfg, encoder, scheme) | {"commit": record["commit"]}
        if learns:
            record["card"] = _learn(cfg, encoder, folder, card, record, before)
        else:
            record["card"] = _untrained(cfg, encoder, folder, card, scheme)
    _discard_checkpoint(folder)  # not before the record says that nothing is left to resume
    return record


def _check_snapshots(cfg: DictConfig) -> None:
    if beyond := [number for number in cfg.snapshots if not 0 <= number <= cfg.epochs]:
        raise ValueError(f"snapshots={list(cfg.snapshots)}: {beyond[0]} is not from 0 to epochs={cfg.epochs}")


def _before(folder: RunFolder) -> Record | None:
    """The record of an earlier attempt; a checkpoint without a readable one is not relied on."""
    try:
        return read_record(folder)
    except ValueError as error:
        log.warning("%s: the power may have gone; the training starts from the beginning", error)
        _discard_checkpoint(folder)
        return None


def _discard_checkpoint(folder: RunFolder) -> None:
    if is_first():
        checkpoint_path(folder.path).unlink(missing_ok=True)


def _is_complete(cfg: DictConfig, folder: RunFolder, before: Record) -> bool:
    """Whether the encoder, its card and its snapshots lie there, whole."""
    if before["status"] != "ok" or "card" not in before:
        return False
    snapshots = [_suffix(number) for number in cfg.snapshots if number <= before["card"]["epochs"]]
    if not all(_is_whole_encoder(encoder_path(folder.path, suffix)) for suffix in ("", *snapshots)):
        return False
    with encoder_path(folder.path).open("rb") as file:
        return bool(hashlib.file_digest(file, "sha256").hexdigest() == before["card"]["sha256"])


def _suffix(epochs: int) -> str:
    return f"-epoch{epochs}"


def _is_whole_encoder(path: Path) -> bool:
    beside = path.with_name(f"{path.name.removesuffix(SUFFIX)}.json")
    with suppress(OSError, ValueError, WeightsError):
        return read_card(path).items() <= read_json(beside).items() and is_whole(beside)
    return False


def _may_resume(cfg: DictConfig, folder: RunFolder, data: TrainingData, images: Dataset) -> bool:
    """Whether the checkpoint is whole, and the snapshots that were taken before it, which are not taken again.

    Raises:
        ConflictingResultsError: if images or their labels have changed, naming the first.
    """
    if not is_zipfile(checkpoint_path(folder.path)):
        return False
    taken = [path for number in cfg.snapshots if (path := encoder_path(folder.path, _suffix(number))).exists()]
    if damaged := [path for path in taken if not _is_whole_encoder(path)]:
        log.warning("%s is damaged; the training starts from the beginning", damaged[0])
        return False
    return _has_same_data(folder, data, images)


def _data(cfg: DictConfig, encoder: Encoder) -> tuple[TrainingData, Dataset]:
    images = prepared_dataset(cfg, cfg.data)
    return training_data(cfg, images, build_scheme(cfg, encoder)), images


def _has_same_data(folder: RunFolder, data: TrainingData, images: Dataset) -> bool:
    """Whether a training that has begun may go on, as its images are what they were; False if that is not known.

    Raises:
        ConflictingResultsError: if images or their labels have changed, naming the first.
    """
    changed: list[str] = []
    for path, dataset in _data_files(folder, data, images):
        try:
            changed += changed_images(path, dataset, len(dataset))
        except ValueError as error:
            log.warning("%s; the training starts from the beginning", error)
            return False
    if changed:
        raise ConflictingResultsError(
            f"{folder.path} holds a training on other images ({named(changed)}): results are never mixed. "
            "Choose another folder (name=NAME), or delete this one"
        )
    return True


def _data_files(folder: RunFolder, data: TrainingData, images: Dataset) -> list[tuple[Path, Dataset]]:
    validation = data.validation.dataset if data.validation else images
    return [(folder.data(), images), *([(folder.data("validation"), validation)] if validation is not images else [])]


def _untrained(cfg: DictConfig, encoder: Encoder, folder: RunFolder, card: Card, scheme: str) -> Card:
    if cfg.epochs:
        raise ValueError(f"scheme={scheme} epochs={cfg.epochs}: nothing is trained, so epochs must be 0")
    return write_encoder(folder, "", encoder.network, card | {"epochs": 0, "metrics": {}})


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
    checkpoint = checkpoint_path(folder.path)
    resumed = before is not None and _may_resume(cfg, folder, data, images)
    for path, dataset in _data_files(folder, data, images) if is_first() and not resumed else ():
        note_contents(path, dataset)

    def write(epochs: int, suffix: str = "", metrics: Card | None = None) -> Card:
        _check_finite(module, cfg)
        complete = card | {"epochs": epochs, "metrics": metrics or {}}
        return write_encoder(folder, suffix, module.result, complete)

    snapshots = Snapshots(cfg.snapshots, lambda epochs: write(epochs, _suffix(epochs)))
    trainer = build_trainer(cfg, folder.path, len(record["attempts"]), data, [snapshots, StopAtOnce()])
    record["device_type"] = trainer.strategy.root_device.type
    check_same(before, record, folder)
    record["device"] = device_name(trainer.strategy.root_device, trainer.world_size)
    save(folder, record)
    _announce(record, data, cfg, folder)
    trainer.fit(module, data, ckpt_path=checkpoint if resumed else None)
    _check_finite(module, cfg)
    metrics = _metrics(cfg, trainer, module, data)
    if not is_first():
        return {}
    return write(trainer.current_epoch, metrics=metrics)


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
    if is_first():
        log.info(
            "%s (from %s) on %s: %d images of %s, %d to validate, %d epochs, to %s",
            *(record["model"], record["weights"], record["device"], len(data.train), data.train.dataset.name),
            *(len(data.validation or ()), cfg.epochs, encoder_path(folder.path)),
        )


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
