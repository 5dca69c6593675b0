"""run.json while a run goes on, and how it ended."""

import os
import platform
import time
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from nave import provenance
from nave.processes import is_first
from nave.results import RUN, write_json
from nave.resume import IDENTITY, OtherResults

Record = dict[str, Any]


def begun(config: Any, before: Mapping[str, Any] | None) -> Record:
    """The record of a run that starts now, or goes on: earlier attempts stay on record."""
    started = datetime.now().astimezone().isoformat(timespec="microseconds")
    attempt = {"started": started, "commit": provenance.commit(), "versions": provenance.versions()}
    known = {key: before[key] for key in IDENTITY if key in before} if before else {}
    return known | {
        "status": "running",
        "started": before["started"] if before else started,
        "process": {
            "host": platform.node(),
            "pid": os.getpid(),
            "slurm_job": os.environ.get("SLURM_JOB_ID"),
        },
        "config": config,
        "versions": attempt["versions"],
        "commit": attempt["commit"],
        "attempts": [*(before or {}).get("attempts", []), attempt],
    }


@contextmanager
def recorded(folder: Path, record: Record) -> Iterator[None]:
    """Writes how the block ended into run.json: ``ok``, ``failed`` or ``interrupted`` with the error.

    A folder of another run is left alone. A killed process leaves ``running``, with its process's number.
    """
    start = time.perf_counter()
    try:
        yield
        record["status"] = "ok"
    except OtherResults:
        raise
    except BaseException as error:
        record["status"] = "failed" if isinstance(error, Exception) else "interrupted"
        record |= {"error": f"{type(error).__name__}: {error}", "traceback": traceback.format_exc()}
        save(folder, record)
        raise
    record.setdefault("seconds", {}).setdefault("total", round(time.perf_counter() - start, 3))
    save(folder, record)


def save(folder: Path, record: Record) -> None:
    """Writes run.json, once a job."""
    if is_first():
        write_json(folder / RUN, record)
