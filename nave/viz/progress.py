"""The progress bar of a run, in images and images per second."""

import time
from typing import Any

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from nave.data.batch import Batch


class ImageProgress(Callback):
    """Shows a progress bar on standard error in a terminal; prints nothing to a log file."""

    def __init__(self, total: int) -> None:
        self.total, self.images, self.seconds = total, 0, 0.0
        console = Console(stderr=True)
        columns = (TextColumn("explaining"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[speed]}"))
        self._bar = Progress(*columns, TimeRemainingColumn(), console=console, disable=not console.is_terminal)

    def on_predict_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Starts the clock."""
        self._start = time.perf_counter()
        self._task = self._bar.add_task("", total=self.total, speed="")
        if trainer.is_global_zero:
            self._bar.start()

    def on_predict_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Batch, *indices: int
    ) -> None:
        """Counts the batch's images on all processes."""
        self.images += len(batch.image_ids) + len(batch.unreadable)
        self.seconds = time.perf_counter() - self._start
        done = min(self.images * trainer.world_size, self.total)
        self._bar.update(self._task, completed=done, speed=f"{done / self.seconds:.1f} images/s")

    def on_predict_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stops the clock, which includes writing after the last batch, and leaves the full bar on the screen."""
        self.seconds = time.perf_counter() - self._start
        self._bar.stop()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Releases the terminal."""
        self._bar.stop()
