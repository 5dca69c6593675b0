"""The processes of one job: which one this is, and how Lightning starts the others."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from lightning.fabric.utilities.rank_zero import rank_zero_only
from omegaconf import open_dict, read_write


def is_first() -> bool:
    """Whether this process writes what there is once a job: the record, the scores, the tables."""
    return int(getattr(rank_zero_only, "rank", 0)) == 0


def part() -> None:
    """Waits until all processes have come so far, then ends what binds them: what follows is the first one's alone.

    (torchmetrics would wait for the others otherwise.)
    """
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.barrier()
        torch.distributed.destroy_process_group()


@contextmanager
def one_job(folder: Path) -> Iterator[None]:
    """Lets Lightning start further processes for this job of a sweep, and leaves nothing of them to the next job.

    Lightning repeats the command line: that of a sweep would start the whole sweep in every process, so the job's
    own one takes its place meanwhile. Its environment variables would make the next job wait for processes that
    nobody starts.
    """
    arguments, environment = sys.argv[:], dict(os.environ)
    hydra: Any = HydraConfig.get()
    if hydra.mode == RunMode.MULTIRUN:
        sys.argv[1:] = list(hydra.overrides.task)
        with read_write(hydra), open_dict(hydra):
            hydra.run.dir = str(folder)
    try:
        yield
    finally:
        sys.argv[:] = arguments
        for name in os.environ.keys() - environment.keys():
            del os.environ[name]
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()
