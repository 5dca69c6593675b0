"""The processes of a job and the jobs of a cluster: all that touches private corners of Lightning and submitit."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobReturn, JobStatus
from hydra.types import RunMode
from lightning.fabric.utilities.rank_zero import rank_zero_only
from omegaconf import open_dict, read_write


def is_first() -> bool:
    """Whether this process writes what there is once a job: the record, the scores, the tables."""
    return int(getattr(rank_zero_only, "rank", 0)) == 0


def leave_process_group() -> None:
    """Waits until all processes have come so far, then ends what binds them: what follows is the first one's alone.

    (torchmetrics would wait for the others otherwise.)
    """
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.barrier()
        torch.distributed.destroy_process_group()


@contextmanager
def single_job(folder: Path) -> Iterator[None]:
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


def outlive_lost_jobs() -> None:
    """Makes submitit's executors return an empty result for a job that was killed.

    As it is, the launcher stops waiting at the first such job: the rest of the sweep would run unseen, without a
    summary. Which job was lost shows in its run.json.
    """
    from submitit.core.utils import FailedJobError, UncompletedJobError
    from submitit.local.local import LocalExecutor, LocalJob
    from submitit.slurm.slurm import SlurmExecutor, SlurmJob

    def outliving(job: type[Any]) -> type[Any]:
        def results(self: Any) -> list[Any]:
            try:
                return list(job.results(self))
            except (FailedJobError, UncompletedJobError):
                return [JobReturn(_return_value=None, status=JobStatus.COMPLETED)]

        return type(f"Outliving{job.__name__}", (job,), {"results": results})

    SlurmExecutor.job_class, LocalExecutor.job_class = outliving(SlurmJob), outliving(LocalJob)
