"""Whether a run that says ``running`` still does."""

import os
import platform
import shutil
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

SILENCE = 1800.0  # seconds without a finished image after which a process elsewhere counts as lost


def state(record: Mapping[str, Any], folder: Path, ended: bool = False) -> str:
    """The status in run.json, or ``killed`` for a run whose process is no more: it could not write that itself.

    ``ended``: the sweep is over, so nothing can be running.
    """
    status: str = record["status"]
    return "killed" if status == "running" and (ended or not _lives(record["process"], folder)) else status


def _lives(process: Mapping[str, Any], folder: Path) -> bool:
    job = process["slurm_job"]
    if job is not None and shutil.which("squeue"):
        return bool(_queued(job))
    if process["host"] == platform.node():
        return _exists(process["pid"])
    return time.time() - _last_write(folder) < SILENCE


def _queued(job: str) -> str:
    found = subprocess.run(["squeue", "-h", "-j", job], capture_output=True, text=True, check=False)
    return found.stdout.strip()


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's, so it exists
        return True
    return True


def _last_write(folder: Path) -> float:
    files = [folder / "run.json", *(folder / "parts").glob("*.jsonl")]
    return max(file.stat().st_mtime for file in files)
