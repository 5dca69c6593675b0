"""Finished runs told to Weights & Biases, CSV files, TensorBoard: from disk, after the work, so that nothing of a
killed run is ever logged, and a run is logged once however often it was taken up again."""

from nave.loggers.finished import FinishedRun
from nave.loggers.log import NotLogged, log_run

__all__ = ["FinishedRun", "NotLogged", "log_run"]
