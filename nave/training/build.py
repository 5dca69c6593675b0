"""From a configuration to module and trainer."""

from collections.abc import Sequence
from pathlib import Path

import torch
from lightning import Trainer
from lightning.pytorch.callbacks import Callback
from omegaconf import DictConfig

from nave.data.seed import seed_of
from nave.encoder import Encoder
from nave.loggers.while_training import training_loggers
from nave.run import built
from nave.training.callbacks import EpochLines, EveryEpoch, Patience
from nave.training.images import TrainingData
from nave.training.scheme import Scheme
from nave.training.trainee import Trainee, width


def scheme(cfg: DictConfig, encoder: Encoder) -> Scheme:
    """Its heads are drawn from the seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_of(cfg.seed, "scheme"))
        found: Scheme = built(cfg.scheme, width=width(encoder))
    return found


def trainee(cfg: DictConfig, encoder: Encoder, scheme: Scheme, data: TrainingData) -> Trainee:
    """The module; raises ValueError for an image size that the network does not take."""
    encoder.padded((cfg.image_size, cfg.image_size))
    return Trainee(
        encoder,
        scheme,
        data.learnt.targets,
        built(cfg.optimizer),
        warmup=cfg.warmup,
        ema=cfg.ema,
        label_smoothing=cfg.label_smoothing,
        seed=cfg.seed,
    )


def trainer(cfg: DictConfig, folder: Path, attempt: int, data: TrainingData, further: Sequence[Callback]) -> Trainer:
    """With a checkpoint each epoch, and the loggers.

    Raises:
        ValueError: for a patience without validation.
    """
    if cfg.patience is not None and data.validation is None:
        raise ValueError(f"patience={cfg.patience} asks for the validation loss: give validation images with classes")
    stop = [] if cfg.patience is None else [Patience(cfg.patience)]
    callbacks = [EpochLines(), *further, *stop, EveryEpoch(checkpoint_path(folder))]
    loggers = training_loggers(cfg.logger, folder, attempt)
    found: Trainer = built(cfg.trainer, callbacks=callbacks, logger=loggers, default_root_dir=str(folder))
    return found


def checkpoint_path(folder: Path) -> Path:
    """Where a training that was cut off goes on from."""
    return folder / "last.ckpt"
