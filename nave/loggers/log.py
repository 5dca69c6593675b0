"""Every logger of the configuration, one after the other."""

from pathlib import Path
from typing import Any, Protocol

from hydra.utils import instantiate
from omegaconf import DictConfig

from nave.data.photograph import Dataset
from nave.loggers.finished import FinishedRun


class Log(Protocol):
    """Where a run is told."""

    def log(self, run: FinishedRun) -> None:
        """All of it; called once."""
        ...


def log_run(loggers: DictConfig, folder: Path, dataset: Dataset | None) -> None:
    """Tells all ``loggers`` of the run in ``folder``; ``dataset`` has its photographs, and is None for a failed run."""
    if not loggers:
        return
    run = FinishedRun.load(folder, dataset)
    for node in loggers.values():
        logger: Any = instantiate(node, _convert_="all")
        logger.log(run)
