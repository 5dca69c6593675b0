"""Trains an encoder to be explained: ``python -m nave.train model=resnet18 data=stl10 scheme=supervised``."""

import logging
import sys
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from lightning import Trainer
from omegaconf import DictConfig, OmegaConf

from nave import provenance
from nave.encoder import Encoder
from nave.processes import is_first, one_job
from nave.results import RUN, read_record, write_whole
from nave.resume import OtherResults, check_same, refusal
from nave.run import built, quiet
from nave.status import Record, begun, recorded, save
from nave.training import build, material
from nave.training.callbacks import Snapshots
from nave.training.card import Card, encoder_path, write_encoder
from nave.training.config import register
from nave.training.images import TrainingData
from nave.training.trainee import Trainee
from nave.weights.scheme import RANDOM
from nave.weights.trained import ENCODERS

log = logging.getLogger(__name__)
register()


def train(cfg: DictConfig, folder: Path, scheme: str) -> Record:
    """Trains into ``folder`` and leaves ``<folder>.safetensors``; the record, which is run.json too.

    A training that was cut off goes on after its last whole epoch; a finished one is not repeated.

    Raises:
        OtherResults: if the folder holds a training of another configuration, other weights or other data.
        ValueError: naming the key, its value and the choices; and what the parts raise.
    """
    config = OmegaConf.to_container(cfg, resolve=True)
    before = read_record(folder)
    check_same(before, {"config": config}, folder)
    if before and before["status"] == "ok" and encoder_path(folder).is_file():
        log.info("complete already: %s", encoder_path(folder))
        return before
    record = begun(config, before)
    save(folder, record)
    with recorded(folder, record):
        encoder: Encoder = built(cfg.model).thaw()
        record |= provenance.encoder(encoder)
        check_same(before, record, folder)
        card = _card(cfg, encoder, scheme) | {"commit": record["commit"]}
        if scheme == RANDOM or not cfg.epochs:
            record["card"] = _untrained(cfg, encoder, folder, card, scheme)
        else:
            record["card"] = _learn(cfg, encoder, folder, card, record, before)
    return record


def _untrained(cfg: DictConfig, encoder: Encoder, folder: Path, card: Card, scheme: str) -> Card:
    if cfg.epochs:
        raise ValueError(f"scheme={scheme} epochs={cfg.epochs}: nothing is trained, so epochs must be 0")
    return write_encoder(encoder_path(folder), encoder.network, card | {"epochs": 0, "metrics": {}})


def _learn(cfg: DictConfig, encoder: Encoder, folder: Path, card: Card, record: Record, before: Any) -> Card:
    scheme = build.scheme(cfg, encoder)
    images = material.dataset(cfg, cfg.data)
    record |= provenance.data(images)
    check_same(before, record, folder)
    data = material.training_data(cfg, images, scheme)
    module = build.trainee(cfg, encoder, scheme, data)
    card |= _of_data(data)

    def keep(epochs: int, suffix: str = "", metrics: Card | None = None) -> Card:
        made = card | {"epochs": epochs, "metrics": metrics or {}}
        return write_encoder(encoder_path(folder, suffix), module.result, made)

    snapshots = Snapshots(cfg.snapshots, lambda epochs: keep(epochs, f"-epoch{epochs}"))
    trainer = build.trainer(cfg, folder, len(record["attempts"]), data, [snapshots])
    record["device"] = provenance.device_name(trainer.strategy.root_device, trainer.world_size)
    save(folder, record)
    _announce(record, data, cfg, folder)
    checkpoint = build.checkpoint_path(folder)
    trainer.fit(module, data, ckpt_path=checkpoint if checkpoint.is_file() else None)
    _check_finite(module, cfg)
    metrics = _metrics(cfg, trainer, module, data)
    if not is_first():
        return {}
    complete = keep(trainer.current_epoch, metrics=metrics)
    checkpoint.unlink(missing_ok=True)
    return complete


def _card(cfg: DictConfig, encoder: Encoder, scheme: str) -> Card:
    stamped = {"class": cfg.watermark, "probability": cfg.watermark_probability, "size": cfg.watermark_size}
    return {
        "model": encoder.name,
        "architecture": encoder.checkpoint.architecture,
        "start": {"training": encoder.checkpoint.training, "weights": encoder.checkpoint.source},
        "scheme": scheme,
        "data": None,
        "excluded": list(cfg.exclude),
        "watermark": stamped if cfg.watermark else None,
        "image_size": cfg.image_size,
        "seed": cfg.seed,
        "mean": list(encoder.checkpoint.mean),
        "std": list(encoder.checkpoint.std),
        "nave": version("nave"),
    }


def _of_data(data: TrainingData) -> Card:
    shown = data.learnt.targets
    return {
        "data": data.learnt.dataset.name,
        "images": len(data.learnt),
        "validation_images": len(data.validation or ()),
        "classes": list(shown.classes) if shown else None,
    }


def _metrics(cfg: DictConfig, trainer: Trainer, module: Trainee, data: TrainingData) -> Card:
    """Of the weights that are kept, in percent but for the loss; on the training images where there are no others."""
    if module.classifier is None:
        return {}
    trainer.loggers = []  # they have been told each epoch
    images = data.validation or material.as_validated(data.learnt, cfg.image_size)
    (found,) = trainer.validate(module, data.in_order(images), verbose=False)
    part = "validation" if data.validation else "train"
    return {name.replace("validation", part): round(value, 4) for name, value in sorted(found.items())}


def _check_finite(module: Trainee, cfg: DictConfig) -> None:
    if not all(bool(tensor.isfinite().all()) for tensor in module.result.state_dict().values()):
        raise ValueError(
            f"optimizer.lr={cfg.optimizer.lr}: the weights have grown beyond all numbers; give a lower one"
        )


def _announce(record: Record, data: TrainingData, cfg: DictConfig, folder: Path) -> None:
    if is_first():
        log.info(
            "%s (from %s) on %s: %d images of %s, %d to validate, %d epochs, to %s",
            *(record["model"], record["weights"], record["device"], len(data.learnt), data.learnt.dataset.name),
            *(len(data.validation or ()), cfg.epochs, encoder_path(folder)),
        )


def _quiet() -> None:
    """Nor is it news that few images make few batches, or that nothing validates when nothing should."""
    quiet()
    for message in ("smaller than the logging interval", "have no `val_dataloader`", "across ranks is zero"):
        warnings.filterwarnings("ignore", f".*{message}.*")


def job(cfg: DictConfig) -> None:
    """One training; in a multirun a failing one is noted in its run.json and the others go on."""
    _quiet()
    folder = Path(HydraConfig.get().runtime.output_dir)
    try:
        with one_job(folder):
            record = train(cfg, folder, HydraConfig.get().runtime.choices["scheme"])
        if is_first():
            _tell(record, folder)
    except Exception as error:
        log.error("error: %s (traceback in %s)", error, folder / RUN)  # noqa: TRY400 - short
        if HydraConfig.get().mode == RunMode.RUN:
            sys.exit(1)
        if isinstance(error, OtherResults):  # run.json tells of the other training
            write_whole(refusal(folder), str(error))


def _tell(record: Record, folder: Path) -> None:
    card = record["card"]
    for name, value in card["metrics"].items():
        log.info("%s: %.4g", name, value)
    path = encoder_path(folder)
    log.info("%s, sha256 %s", path, card["sha256"])
    found_by_name = path.parent.resolve() == ENCODERS.resolve()
    log.info(
        "to explain it: python -m nave.run model=%s training=%s", card["model"], card["name"] if found_by_name else path
    )


main = hydra.main(version_base="1.3", config_path="conf", config_name="train")(job)

if __name__ == "__main__":
    from nave.train import main as importable  # a cluster's jobs find it by name; ``__main__`` they could not

    importable()
