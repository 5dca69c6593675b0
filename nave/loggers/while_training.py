"""The loggers of the configuration, as Lightning's, which are told while a training goes on."""

from pathlib import Path
from typing import Protocol

from hydra.utils import instantiate
from lightning.pytorch.loggers import Logger
from omegaconf import DictConfig, OmegaConf


class FollowsTraining(Protocol):
    """A logger of the group ``logger``."""

    def training_logger(self, folder: Path, attempt: int) -> Logger:
        """For the training in ``folder``; ``attempt``: 1, or more where it was cut off and goes on."""
        ...


def training_loggers(loggers: DictConfig, folder: Path, attempt: int) -> list[Logger]:
    """One for each node; what is no node is an option that the loggers share."""
    nodes = [node for node in loggers.values() if OmegaConf.is_config(node)]
    made: list[FollowsTraining] = [instantiate(node, _convert_="all") for node in nodes]
    return [one.training_logger(folder, attempt) for one in made]
