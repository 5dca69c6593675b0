"""Trains an encoder: ``python -m nave.train model=resnet18 data=stl10 scheme=supervised``."""

import logging
from typing import TYPE_CHECKING

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from nave.command_line.overrides import answer, with_quoting_hint
from nave.config import register

if TYPE_CHECKING:
    from nave.runs.layout import RunFolder
    from nave.runs.record import Record

log = logging.getLogger(__name__)
OF_TRAINING = ("smaller than the logging interval", "have no `val_dataloader`", "across ranks is zero")
register()


def train(cfg: DictConfig) -> None:
    """Runs one training; in a multirun, a failure is recorded in its run.json and the other trainings continue."""
    from nave.command_line.job import job, job_folder
    from nave.processes.distributed import (
        is_rank_zero,
    )  # with torch: imported when the command line is known to be sound
    from nave.training.fit import fit

    folder = job_folder()
    with job(folder, OF_TRAINING):
        record = fit(cfg, folder, HydraConfig.get().runtime.choices["scheme"])
        if is_rank_zero():
            _announce(record, folder)


def _announce(record: "Record", folder: "RunFolder") -> None:
    from nave.weights.naming import ENCODERS
    from nave.weights.schemes import chosen, encoder_path

    card = record["card"]
    for name, value in card["metrics"].items():
        log.info("%s: %.4g", name, value)
    path = encoder_path(folder.path)
    log.info("%s, sha256 %s", path, card["sha256"])
    training = card["name"] if path.parent.resolve() == ENCODERS.resolve() else path
    log.info("to explain it: python -m nave.run %s training=%s", chosen(card["model"]), training)


main = with_quoting_hint(hydra.main(version_base="1.3", config_path="pkg://nave.conf", config_name="train")(train))

if __name__ == "__main__":
    from nave.train import main as importable  # the jobs of a cluster import it by name

    answer("train")
    importable()
