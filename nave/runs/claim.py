"""Which process is at work in a folder, and whether it lives."""

import json
import os
import platform
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from nave.runs.files import remove_temporary
from nave.runs.layout import RunFolder
from nave.runs.record import Process, Record, this_process
from nave.strict_json import checked, parsed

SILENCE = 1800.0  # seconds without a finished image after which a process on another machine counts as killed
BEAT = 60.0  # seconds between the signs of life of a claim
_held: set[Path] = set()  # claims of this process


def state(record: Record, folder: RunFolder, ended: bool = False) -> str:
    """The status of a run: that of run.json, or ``killed`` if it says ``running`` but the process has vanished.

    No job of a sweep that has ``ended`` can be running.
    """
    running = record["status"] == "running"
    return "killed" if running and (ended or not _is_alive(record["process"], folder)) else record["status"]


class FolderInUseError(RuntimeError):
    """Another process is at work in the folder."""


@contextmanager
def claimed(folder: RunFolder, deep: bool = True) -> Iterator[None]:
    """Keeps other processes out of ``folder``, by a file that exists as long as the work in it.

    The claim of a process that has died is taken over, by one of those that try; temporary files that it has left are
    removed.

    Args:
        deep: whether everything below belongs to the claim; in a sweep the jobs have claims of their own.

    Raises:
        FolderInUseError: if a process that lives has claimed the folder; names it.
    """
    path, mine = folder.claim, this_process()
    was_left = path.exists()
    if (holder := _take(path, mine)) is not None:
        raise FolderInUseError(
            f"{folder.path} is in use by process {holder['pid']} on {holder['host']}"
            + (f" (SLURM job {holder['slurm_job']})" if holder["slurm_job"] else "")
            + f": wait for its end, choose another folder (hydra.run.dir=FOLDER), or, if it is dead, delete {path}"
        )
    _held.add(path)
    done = threading.Event()
    threading.Thread(target=_beat, args=(path, done), name="claim", daemon=True).start()
    try:
        if was_left:
            remove_temporary(folder.path, deep)
        yield
    finally:
        done.set()
        _held.discard(path)
        with suppress(FileNotFoundError):
            if _holder(path) == mine:
                path.unlink()


def _take(path: Path, mine: Process) -> Process | None:
    """Creates the claim at ``path``; returns the living process that has created it before, if there is one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    while True:
        with suppress(FileExistsError):
            _create(path, json.dumps(mine))
            return None
        with suppress(FileNotFoundError):  # released meanwhile
            holder = _holder(path)
            if holder is not None and _is_at_work(holder, path):
                return holder
            if holder is not None or _age(path) > BEAT:
                _remove(path, holder)
            time.sleep(0.02)


def _create(path: Path, content: str) -> None:
    """Writes a file that must not exist; FileExistsError otherwise."""
    with path.open("x", encoding="utf-8") as file:
        try:
            file.write(content)
            file.flush()
        except OSError:  # a full disk
            path.unlink()
            raise


def _holder(path: Path) -> Process | None:
    """The process in a claim; None while it is being written, or if the power went then."""
    try:
        process: Process = checked(parsed(path.read_bytes(), path), Process, path, "delete it")
    except ValueError:
        return None
    return process


def _remove(path: Path, dead: Process | None) -> None:
    """Removes the claim of a dead process; one process at a time, so that none removes the claim of its successor."""
    guard = path.with_name(f"{path.name}.takeover")
    try:
        _create(guard, "")
    except FileExistsError:
        if _age(guard) > BEAT:  # its process was killed within these few microseconds
            guard.unlink()
        return
    try:
        if _holder(path) == dead:
            path.unlink()
    finally:
        guard.unlink(missing_ok=True)


def _age(path: Path) -> float:
    return time.time() - path.stat().st_mtime


def _beat(path: Path, done: threading.Event) -> None:
    """Renews the time of the claim, by which other machines know that its process lives."""
    while not done.wait(BEAT):
        with suppress(OSError):
            os.utime(path)


def _is_at_work(process: Process, claim: Path) -> bool:
    """Whether the process of a claim lives; a job that SLURM has started again has the same id as before."""
    if process["host"] == platform.node():
        return claim in _held if process["pid"] == os.getpid() else _exists(process["pid"])
    job = process["slurm_job"]
    if job is not None and job != os.environ.get("SLURM_JOB_ID") and shutil.which("squeue"):
        return bool(_queued(job))
    return _age(claim) < 5 * BEAT


def _is_alive(process: Process, folder: RunFolder) -> bool:
    job = process["slurm_job"]
    if job is not None and shutil.which("squeue"):
        return bool(_queued(job))
    if process["host"] == platform.node():
        return _exists(process["pid"])
    return time.time() - _last_write(folder) < SILENCE


def _queued(job: str) -> str:
    if not job.isdecimal():  # a damaged record
        return ""
    queue = subprocess.run(["squeue", "-h", "-j", job], capture_output=True, text=True, check=False)
    return queue.stdout.strip()


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # the process of another user
        return True
    return True


def _last_write(folder: RunFolder) -> float:
    files = [folder.record, folder.claim, *folder.parts.glob("*.jsonl")]
    return max(file.stat().st_mtime for file in files if file.exists())
