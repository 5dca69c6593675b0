"""Lightning's own loggers: CSV files, TensorBoard, and whatever else follows their interface."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from lightning.pytorch.loggers import Logger, TensorBoardLogger
from PIL import Image

from nave.loggers.finished import FinishedRun
from nave.loggers.picks import picks


class LightningLog:
    """Configuration, scores with their intervals (one step a K) and timings; overlays where pictures can be shown.

    ``logger`` makes the logger from its ``save_dir``, the run folder; ``images``: overlays at most.
    """

    def __init__(self, logger: Callable[..., Logger], images: int = 0) -> None:
        self.make, self.images = logger, images

    def log(self, run: FinishedRun) -> None:
        """Called once."""
        logger = self.make(save_dir=run.folder)
        logger.log_hyperparams(dict(run.record["config"]))
        for step, metrics in run.metrics():
            logger.log_metrics({**metrics, **run.figures()}, step=step)
        if isinstance(logger, TensorBoardLogger) and self.images:
            self._show(logger.experiment, run)
        logger.finalize("success" if run.found else "failed")

    def training_logger(self, folder: Path, attempt: int) -> Logger:
        """A further attempt has a folder of its own, since the CSV logger writes its file anew."""
        return self.make(save_dir=folder) if attempt == 1 else self.make(save_dir=folder, version=f"attempt{attempt}")

    def _show(self, board: Any, run: FinishedRun) -> None:
        chosen = picks(run.overlaps(), self.images, run.record["config"]["seed"])
        for one in run.found:
            for image_id, group in chosen.items():
                path = one.folder / "overlays" / f"{image_id}.jpg"
                if path.is_file():
                    with Image.open(path) as image:
                        board.add_image(f"{group}/{image_id}", np.asarray(image), one.step, dataformats="HWC")
