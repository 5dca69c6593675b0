"""One job of ``nave.run`` or ``nave.train``: its folder, what is quiet, and how its failure is reported."""

import logging
import shlex
import signal
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from functools import partial
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode

from nave.processes.distributed import is_rank_zero, single_job
from nave.processes.signals import stopped_at_once
from nave.runs.claim import FolderInUseError, claimed
from nave.runs.files import write_whole
from nave.runs.journal import Journal
from nave.runs.layout import PLAN, RunFolder
from nave.runs.provenance import save
from nave.runs.record import Record, read_record
from nave.runs.resume import ConflictingResultsError
from nave.runs.sweep import FollowUpError, resume_command

log = logging.getLogger(__name__)
REFUSALS = (ConflictingResultsError, FolderInUseError)
QUIET_WARNINGS = ("does not have many workers", "predict returned None", "`srun` command is available")


def job_folder() -> RunFolder:
    """The folder that Hydra made for the job."""
    return RunFolder(Path(HydraConfig.get().runtime.output_dir))


@contextmanager
def job(folder: RunFolder, further: Sequence[str] = ()) -> Iterator[None]:
    """Around the work of one job. An error becomes one line; alone, the job ends the command with exit code 1.

    One process at a time works in a folder; those of one job are one. SIGTERM and Ctrl-C interrupt the job at once,
    and a line says what is kept and which command goes on.

    In a multirun the failure is noted in the job's run.json and the next job is done; the sweep fails in the end.
    ``further``: warnings of Lightning that tell a user nothing, beside QUIET_WARNINGS.
    """
    quiet_lightning(further)
    claim = claimed(folder) if is_rank_zero() else nullcontext()
    try:
        with stopped_at_once(partial(_stuck, folder)), single_job(folder.path), claim:
            yield
    except (KeyboardInterrupt, SystemExit) as end:
        if is_rank_zero():
            with suppress(Exception):
                log.warning(how_to_go_on(folder))
        raise SystemExit(_exit_code(end)) from end
    except Exception as error:
        where = "" if isinstance(error, (FollowUpError, *REFUSALS)) else f" (traceback in {folder.record})"
        log.error("error: %s%s", error, where)  # noqa: TRY400 - short
        if HydraConfig.get().mode == RunMode.RUN:
            sys.exit(1)
        if isinstance(error, REFUSALS):  # run.json is that of the other run
            write_whole(folder.refusal, str(error))


def _exit_code(end: KeyboardInterrupt | SystemExit) -> str | int | None:
    """A shell's code of the signal; Lightning turns Ctrl-C into an exit with 1."""
    if isinstance(end, KeyboardInterrupt) or isinstance(end.__context__, KeyboardInterrupt):
        return 128 + signal.SIGINT
    return end.code


def _stuck(folder: RunFolder, name: str) -> None:
    """Notes and says what a process that hangs cannot."""
    with suppress(Exception):
        if (record := read_record(folder)) is not None and record["status"] == "running":
            save(folder, record | Record(status="interrupted", error=f"SystemExit: {name}"))
        if is_rank_zero():
            print(how_to_go_on(folder), file=sys.stderr, flush=True)


def how_to_go_on(folder: RunFolder) -> str:
    """What an interrupted job has finished, where that lies, and the command that does the rest."""
    record = read_record(folder) or Record()
    finished = "what is finished"
    if "total" in record and "ks" in record:
        finished = f"{len(Journal(folder, record['ks']).finished())} of {record['total']} images"
    sweep = folder.path.parent
    command = f"python -m nave.sweep {shlex.quote(str(sweep))}, which lists what is missing"
    if not (sweep / PLAN).is_file():
        command = resume_command(folder.path, "train" if "scheme" in record.get("config", {}) else "run")
    return f"interrupted; kept in {folder.path}: {finished}. To go on: {command}"


def quiet_lightning(further: Sequence[str] = ()) -> None:
    """Lightning's advice to trainers is no news to somebody who explains images."""
    for package in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(package).setLevel(logging.WARNING)
    for message in (*QUIET_WARNINGS, *further):
        warnings.filterwarnings("ignore", f".*{message}.*")
    warnings.filterwarnings("ignore", ".*LeafSpec.*", FutureWarning)
