"""What happens beside the learning: a line an epoch, checkpoints, snapshots, the end."""

import logging
import time
from collections.abc import Callable, Collection
from pathlib import Path

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback, Checkpoint, EarlyStopping

from nave.processes import is_first

log = logging.getLogger(__name__)


class EpochLines(Callback):
    """One line an epoch: losses, metrics, seconds."""

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """The clock starts."""
        self._start = time.perf_counter()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Called after validation."""
        start, self._start = self._start, time.perf_counter()
        figures = ", ".join(f"{name} {float(value):.4g}" for name, value in sorted(trainer.callback_metrics.items()))
        if is_first():
            line = "epoch %d/%s: %s (%.1f s)"
            log.info(line, trainer.current_epoch + 1, trainer.max_epochs, figures, self._start - start)


class Snapshots(Callback):
    """Calls ``write(epochs)`` when so many ``epochs`` are done; 0: before the first."""

    def __init__(self, epochs: Collection[int], write: Callable[[int], object]) -> None:
        self.epochs, self.write = frozenset(epochs), write

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Not where the training goes on."""
        if trainer.current_epoch == 0:
            self._write(0)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Before the checkpoint, which comes last."""
        self._write(trainer.current_epoch + 1)

    def _write(self, done: int) -> None:
        if done in self.epochs and is_first():
            self.write(done)


class EveryEpoch(Checkpoint):
    """The whole state after each epoch, in one file that is never seen half-written."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """The last of all callbacks, since Lightning puts these last."""
        part = self.path.with_suffix(".part")
        trainer.save_checkpoint(part)
        if is_first():
            part.replace(self.path)


class Patience(EarlyStopping):
    """Stops when the validation loss no longer falls, also where the training was cut off just then."""

    def __init__(self, epochs: int) -> None:
        super().__init__("validation/loss", patience=epochs)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """A training that had stopped stays so."""
        trainer.should_stop = self.wait_count >= self.patience
