"""Sweeps: the plan of their jobs, the state of the jobs, and the commands that finish them."""

import shlex
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TypedDict

from nave.loggers.wandb_mode import sync_command
from nave.runs.files import read_json
from nave.runs.layout import PLAN, RUN, RunFolder
from nave.runs.reader import Run
from nave.runs.record import read_record
from nave.runs.summary import Row, overrides_of, summary
from nave.strict_json import checked
from nave.viz.terminal import announce

CONSTANT = "hydra.job.config.override_dirname.exclude_keys"  # Hydra's place for keys that name no folder
REPLACED = (f"{CONSTANT}=", "hydra.sweep.dir=", "hydra.mode=", "skip_existing=")


class Plan(TypedDict):
    """sweep.json: the overrides of the command line and those of each job (None if a sweeper chooses them later)."""

    overrides: list[str]
    jobs: list[list[str]] | None


class FollowUpError(RuntimeError):
    """What follows the work of a run has failed; its results are complete."""


def own_folder(path: Path) -> Path:
    """Creates the folder ``path``, or with a number after its name if there is one already."""
    for name in (path, *(path.with_name(f"{path.name}_{number}") for number in range(2, 10_000))):
        with suppress(FileExistsError):
            name.mkdir(parents=True)
            return name
    raise FileExistsError(f"{path}: there are thousands of folders of that name")


def follow_up(run: Run, page: bool) -> None:
    """Writes the report of a run, if wanted.

    Raises:
        FollowUpError: if that fails, or a logger has failed, naming the commands that repeat it.
    """
    unlogged = run.record.get("unlogged", {})
    failed = [*unlogged.values()]
    if unlogged:
        failed.append(f"to log it: {resume_command(run.folder.path)}")
    if page:
        failed += written_page(run.folder.path)
    if failed:
        raise FollowUpError(f"{run.folder.path} is complete, but {'; '.join(failed)}")


def written_page(folder: Path) -> list[str]:
    """Writes the report on a run or sweep; why it could not be written, and the command that writes it."""
    from nave.report.page import write_report  # plots need matplotlib, which takes its time to import

    try:
        announce(f"look at {write_report(folder)}")
    except Exception as error:
        return [f"its report: {error}; to write it: python -m nave.report {shlex.quote(str(folder))}"]
    return []


def not_logged(folder: Path) -> list[Path]:
    """The jobs of a sweep that are complete, but not known to all of their loggers."""
    records = {path.parent: read_record(RunFolder(path.parent)) for path in sorted(folder.glob(f"*/{RUN}"))}
    return [job for job, record in records.items() if record and "unlogged" in record]


def report(folder: Path) -> tuple[list[Row], str]:
    """The state of a sweep: rows of its jobs, and a text with their counts and the commands that finish the sweep.

    Raises:
        FileNotFoundError: If ``folder`` holds no sweep.
    """
    if not (folder / PLAN).is_file():
        raise FileNotFoundError(f"{folder} holds no {PLAN}: is it the folder of a sweep (python -m nave.run -m …)?")
    plan = folder / PLAN
    sweep: Plan = checked(read_json(plan), Plan, plan, "start the sweep again")
    rows = summary(folder)
    states = {row.job: row.status for row in rows}
    jobs = "?" if sweep["jobs"] is None else len(sweep["jobs"])
    counts = ", ".join(f"{number} {status}" for status, number in sorted(Counter(states.values()).items()))
    lines = [f"{jobs} jobs, {len(states)} begun: {counts or 'none'}", *_commands(folder, sweep, states)]
    if upload := sync_command(folder):
        lines.append(f"to upload to W&B: {upload}")
    return rows, "\n".join(lines)


def _commands(folder: Path, sweep: Plan, states: Mapping[str, str]) -> list[str]:
    unfinished = [job for job, status in states.items() if status not in ("ok", "running")]
    not_started = sweep["jobs"] is not None and len(states) < len(sweep["jobs"])
    single = [resume_command(folder / job) for job in unfinished] + [resume_command(job) for job in not_logged(folder)]
    if "running" in states.values() or sweep["jobs"] is None:
        return ["jobs that ended without results are resumed by", *single] if single else []
    if not single and not not_started:
        return ["complete"]
    kept = [override for override in sweep["overrides"] if not override.startswith(REPLACED)]
    everything = _command("-m", *kept, f"hydra.sweep.dir={in_quotes(folder)}", "skip_existing=true")
    one_by_one = ["or job by job", *single] if single else []
    return ["the sweep is finished by", everything, *one_by_one]


def resume_command(job: Path, module: str = "run") -> str:
    """The command line that resumes one job of ``nave.run``, or of another module, in its own folder."""
    return _command(*overrides_of(RunFolder(job)), f"hydra.run.dir={in_quotes(job)}", module=module)


def _command(*arguments: str, module: str = "run") -> str:
    return shlex.join(["python", "-m", f"nave.{module}", *arguments])


def in_quotes(path: Path | str) -> str:
    """For Hydra, which would interpret = and , in the name of a folder."""
    return f'"{path}"'
