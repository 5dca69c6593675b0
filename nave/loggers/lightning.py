"""Lightning's loggers: CSV, TensorBoard and others with their interface."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from lightning.pytorch.loggers import Logger, TensorBoardLogger

from nave.data.interface import Dataset, positions
from nave.loggers.interface import flat_scores, ranks, run_statistics, select_examples
from nave.runs.pictures import overlay_of
from nave.runs.reader import Run, mean_overlaps


class LightningLogger:
    """Logs configuration, scores with intervals (K as the step) and times; TensorBoard also shows overlays.

    Args:
        logger: Creates the Lightning logger from ``save_dir``, the folder of the run.
    """

    def __init__(self, logger: Callable[..., Logger], images: int = 0) -> None:
        self._create, self._images = logger, images

    def log(self, run: Run, dataset: Dataset | None) -> None:
        """Logs a run; see :class:`nave.loggers.interface.RunLogger`."""
        logger = self._create(save_dir=run.folder.path)
        logger.log_hyperparams(dict(run.record["config"]))
        for at_k in run.at_k:
            logger.log_metrics({**flat_scores(at_k), **run_statistics(run)}, step=at_k.step)
        if isinstance(logger, TensorBoardLogger) and self._images and dataset is not None:
            self._show(logger.experiment, run, dataset)
        logger.finalize("success" if run.finished else "failed")

    def training_logger(self, folder: Path, attempt: int) -> Logger:
        """Creates a Lightning logger; each further attempt has its own folder, since CSVLogger overwrites its file."""
        if attempt == 1:
            return self._create(save_dir=folder)
        return self._create(save_dir=folder, version=f"attempt{attempt}")

    def _show(self, board: Any, run: Run, dataset: Dataset) -> None:
        chosen = select_examples(mean_overlaps(run.at_k), self._images, run.record["config"]["seed"])
        indices = positions(dataset, chosen)
        for image_id, key in ranks(chosen).items():
            photograph = dataset.image(indices[image_id])
            for at_k in run.at_k:
                picture = np.asarray(overlay_of(at_k.results, at_k.lines[image_id], photograph))
                board.add_image(key, picture, at_k.step, dataformats="HWC")
