"""Finished runs told to Weights & Biases, CSV files, TensorBoard: from disk, after the work, so that nothing of a
killed run is ever logged, and a run is logged once however often it was taken up again."""

from nave.loggers.log import log_run

__all__ = ["log_run"]
