"""The processes of a job and the jobs of a cluster: all that touches private corners of Lightning and submitit."""

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobReturn, JobStatus
from hydra.types import RunMode
from lightning import LightningModule, Trainer
from lightning.fabric.utilities.rank_zero import rank_zero_only
from lightning.pytorch.callbacks import Callback
from omegaconf import open_dict, read_write

from nave.processes.signals import end_with, stop

LIGHTNINGS = "train_ddp_process"  # Hydra's names of the processes that Lightning starts


def is_rank_zero() -> bool:
    """Whether this process writes what there is once a job: the record, the scores, the tables."""
    return int(getattr(rank_zero_only, "rank", 0)) == 0


def share_of_cores(processes: int) -> int:
    """How many of this machine's cores each of the job's ``processes`` on it has to itself; at least 1."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, cores // processes)


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
    if str(hydra.job.name).startswith(LIGHTNINGS):
        threading.Thread(target=end_with, args=(os.getppid(),), name="parent", daemon=True).start()
    try:
        yield
    finally:
        sys.argv[:] = arguments
        for name in os.environ.keys() - environment.keys():
            del os.environ[name]
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()


class StopAtOnce(Callback):
    """Puts back the handler of :func:`nave.processes.signals.stopped_at_once`; Lightning begins with its own."""

    def __init__(self) -> None:
        self._ours = signal.getsignal(signal.SIGTERM) is stop

    def on_predict_start(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002 - Lightning's
        """Before the first image."""
        self._put_back()

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002 - Lightning's
        """Before the first step."""
        self._put_back()

    def _put_back(self) -> None:
        if self._ours and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, stop)


def gpus_per_node(accelerator: str, devices: Any, partition: str | None) -> Any:
    """``devices``, for SLURM, if the partition has GPUs and the accelerator may be one; None otherwise.

    Partitions lie between commas.
    """
    if accelerator == "cpu" or shutil.which("sinfo") is None:
        return None
    found = subprocess.run(["sinfo", "-h", "-o", "%P %G"], capture_output=True, text=True, check=False).stdout
    wanted = None if partition is None else partition.split(",")
    names = [line.split()[0] for line in found.splitlines() if "gpu" in line.partition(" ")[2]]
    asked = any(name.endswith("*") if wanted is None else name.rstrip("*") in wanted for name in names)
    return devices if asked else None


def tolerate_lost_jobs() -> None:
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
