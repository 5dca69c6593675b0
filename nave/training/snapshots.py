"""Snapshots: the encoder as it was after some epochs or optimiser steps, ``<name>-epoch<n>`` and ``<name>-step<n>``."""

from collections.abc import Callable, Collection
from typing import Any

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from omegaconf import DictConfig

from nave.processes.distributed import is_rank_zero


def check_snapshots(cfg: DictConfig) -> None:
    """Checks the numbers as far as they are known before the images; :class:`Snapshots` checks the last step.

    Raises:
        ValueError: for an epoch that the training does not have, and for a negative step.
    """
    if beyond := [number for number in cfg.snapshots if not 0 <= number <= cfg.epochs]:
        raise ValueError(f"snapshots={list(cfg.snapshots)}: {beyond[0]} is not from 0 to epochs={cfg.epochs}")
    if negative := [number for number in cfg.snapshot_steps if number < 0]:
        raise ValueError(f"snapshot_steps={list(cfg.snapshot_steps)}: {negative[0]} is below 0")


def check_steps(numbers: Collection[int], last: int) -> None:
    """Raises ValueError for a step beyond the ``last`` one of the training."""
    if beyond := [number for number in numbers if number > last]:
        raise ValueError(
            f"snapshot_steps={list(numbers)}: {beyond[0]} is beyond the last step, {last}; give numbers from 0 to "
            f"{last}, or more epochs"
        )


def suffixes(cfg: DictConfig, epochs: int, steps: int) -> list[str]:
    """What the names of the snapshots end with, of a training that has come as far as ``epochs`` and ``steps``."""
    by_epochs = [f"-epoch{number}" for number in cfg.snapshots if number <= epochs]
    return by_epochs + [f"-step{number}" for number in cfg.snapshot_steps if number <= steps]


class Snapshots(Callback):
    """Calls ``write(suffix, epochs, steps)`` when so many epochs or optimiser steps are done; 0: before the first.

    The module updates its averaged weights after the callbacks of a batch, so a step is written when the next batch
    starts, or its epoch ends: with the weights that would be validated, before the checkpoint.
    """

    def __init__(
        self, epochs: Collection[int], steps: Collection[int], write: Callable[[str, int, int], object]
    ) -> None:
        self.epochs, self.steps, self.write = epochs, steps, write

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Writes the untrained network, unless the training is resumed.

        Raises:
            ValueError: for a step beyond the last one.
        """
        check_steps(self.steps, int(trainer.estimated_stepping_batches))
        self._seen = -1 if trainer.global_step == 0 else trainer.global_step
        if trainer.current_epoch == 0:
            self._write_epoch(0, 0)
            self._write_step(0, trainer.global_step)

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Writes the network as the step before has left it."""
        self._write_step(trainer.current_epoch, trainer.global_step)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Writes the network, before the checkpoint."""
        self._write_step(trainer.current_epoch + 1, trainer.global_step)
        self._write_epoch(trainer.current_epoch + 1, trainer.global_step)

    def _write_step(self, epochs: int, steps: int) -> None:
        """Once a step: several batches may make one, and change the batch statistics meanwhile."""
        if steps != self._seen and steps in self.steps and is_rank_zero():
            self.write(f"-step{steps}", epochs, steps)
        self._seen = steps

    def _write_epoch(self, epochs: int, steps: int) -> None:
        if epochs in self.epochs and is_rank_zero():
            self.write(f"-epoch{epochs}", epochs, steps)
