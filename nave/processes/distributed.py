"""The processes of a job and the jobs of a cluster: all that touches private corners of Lightning and submitit."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
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

LIGHTNINGS = "train_ddp_process"  # Hydra's names of the processes that Lightning starts
NOTHING = b"\0"  # the number of no signal
GRACE = 5.0  # seconds until a process that does not react to a signal is ended; what waits is written meanwhile
PATIENCE = 0.5  # seconds until somebody who has pressed Ctrl-C is given an answer


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


def end_with(parent: int) -> None:
    """Ends this process when the one that started it has vanished: it would go on writing beside the next attempt."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


@contextmanager
def stopped_at_once(stuck: Callable[[str], None]) -> Iterator[None]:
    """Lets SIGTERM end the work at once, as Ctrl-C does; Lightning notes it and goes on to predict.

    Python handles a signal between two of its own instructions. Where that takes longer than ``GRACE``, as within one
    long computation or while waiting for another process, ``stuck`` is called with the signal's name and the process
    ends without it. That holds for Ctrl-C too, unless it is ignored.

    What others, such as submitit, do on SIGTERM is left alone.
    """
    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGTERM) != signal.SIG_DFL:
        yield
        return
    reads, writes = socket.socketpair()
    writes.setblocking(False)
    done, asked = threading.Event(), list[signal.Signals]()
    watching = threading.Thread(target=_watch, args=(reads, done, asked, stuck), name="signals", daemon=True)
    watching.start()
    woken = signal.set_wakeup_fd(writes.fileno(), warn_on_full_buffer=False)
    signal.signal(signal.SIGTERM, _stop)
    try:
        yield
    finally:
        done.set()
        signal.set_wakeup_fd(woken)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        writes.send(NOTHING)  # processes that were forked meanwhile may hold it open
        watching.join()
        writes.close()
        reads.close()
    if asked:  # Python drops what a handler raises within a __del__: the next job of a sweep would begin
        raise KeyboardInterrupt if asked[0] == signal.SIGINT else SystemExit(128 + asked[0])


def _stop(number: int, frame: object) -> None:  # noqa: ARG001 - of signal handlers
    raise SystemExit(128 + number)


def _watch(
    wakeups: socket.socket, done: threading.Event, asked: list[signal.Signals], stuck: Callable[[str], None]
) -> None:
    while (number := wakeups.recv(1)) != NOTHING:
        if number[0] not in (signal.SIGINT, signal.SIGTERM):
            continue
        asked.append(signal.Signals(number[0]))
        if done.wait(min(PATIENCE, GRACE)):
            continue
        print(f"stopping within {GRACE:.0f} seconds; what is finished is kept", file=sys.stderr, flush=True)
        if not done.wait(GRACE):
            stuck(asked[-1].name)
            os._exit(128 + number[0])


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Lets SIGINT and SIGTERM wait for what must not stop half-way, such as calls that take locks in Python."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    ours = [number for number, handler in handlers.items() if callable(handler)]
    for number in ours:
        signal.signal(number, lambda number, frame: came.append(number))  # noqa: ARG005 - of signal handlers
    try:
        yield
    finally:
        for number in ours:
            signal.signal(number, handlers[number])
        for late in came:
            signal.raise_signal(late)


class StopAtOnce(Callback):
    """Puts back the handler of :func:`stopped_at_once`, which Lightning replaces by its own when it begins."""

    def __init__(self) -> None:
        self._ours = signal.getsignal(signal.SIGTERM) is _stop

    def on_predict_start(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002 - Lightning's
        """Before the first image."""
        self._put_back()

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002 - Lightning's
        """Before the first step."""
        self._put_back()

    def _put_back(self) -> None:
        if self._ours and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, _stop)


def gpus_per_node(accelerator: str, devices: Any, partition: str | None) -> Any:
    """``devices``, for SLURM, if the partition has GPUs and the accelerator may be one; None otherwise.

    Args:
        accelerator: Lightning's.
        devices: Lightning's, of one node.
        partition: Name, or several between commas; None for the cluster's default.
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
