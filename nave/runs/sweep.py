"""Sweeps: the plan of their jobs, the state of the jobs, and the commands that finish them."""

import shlex
import shutil
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, TypedDict

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.errors import HydraException
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from nave.loggers.wandb import sync_command
from nave.processes.distributed import is_rank_zero, tolerate_lost_jobs
from nave.runs.folding import as_given, fold, is_grid, name_files, overrides_parser
from nave.runs.layout import PLAN, RUN, RunFolder, read_json, write_csv, write_json, write_whole
from nave.runs.reader import Run
from nave.runs.record import FolderInUseError, claimed, read_record
from nave.runs.summary import Row, as_markdown, as_table, flat, overrides_of, summary
from nave.strict_json import checked
from nave.viz.terminal import show

CONSTANT = "hydra.job.config.override_dirname.exclude_keys"  # Hydra's place for keys that name no folder
REPLACED = (f"{CONSTANT}=", "hydra.sweep.dir=", "hydra.mode=", "skip_existing=")


class Plan(TypedDict):
    """sweep.json: the overrides of the command line and those of each job (None if a sweeper chooses them later)."""

    overrides: list[str]
    jobs: list[list[str]] | None


class FollowUpError(RuntimeError):
    """What follows the work of a run has failed; its results are complete."""


_claims: dict[Path, ExitStack] = {}  # of the sweeps of this process; a callback is sent to the jobs


class Summary(Callback):
    """Writes the plan of a sweep; at its end writes and prints the summary, and fails if any job has failed.

    Jobs that differ in K alone are folded into one. A folder that is named by the time is one of its own.
    """

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:  # noqa: ARG002 - Hydra's
        """Makes the folder of a single run; called by Hydra."""
        with _ended_by_errors():
            _make_own_folder(config, "run")

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:  # noqa: ARG002 - Hydra's
        """Claims the folder and writes the plan; called by Hydra when the sweep starts."""
        with _ended_by_errors():
            _make_own_folder(config, "sweep")
            fold(config)
            name_files(config)
            _name_what_varies(config)
            self._begin(config, Path(config.hydra.sweep.dir))

    def _begin(self, config: DictConfig, folder: Path) -> None:
        _claims.pop(folder, ExitStack()).close()  # that of a sweep which was interrupted
        _claims[folder] = ExitStack()
        _claims[folder].enter_context(claimed(RunFolder(folder), deep=False))
        shutil.rmtree(_refusals(folder), ignore_errors=True)
        write_json(folder / PLAN, plan(config))
        if "submitit" in config.hydra.launcher._target_:
            tolerate_lost_jobs()
        if "SlurmLauncher" in config.hydra.launcher._target_:
            show(f"the jobs run on when this shell is closed; how far they are: python -m nave.sweep {folder}")

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:  # noqa: ARG002 - Hydra's
        """Writes and prints the summary; called by Hydra when the sweep has ended."""
        folder = Path(config.hydra.sweep.dir)
        with _ended_by_errors(), _claims.pop(folder, ExitStack()):
            self._end(config, folder)

    def _end(self, config: DictConfig, folder: Path) -> None:
        rows = summary(folder, ended=True)
        write_csv(folder / "summary.csv", flat(rows))
        write_whole(folder / "summary.md", as_markdown(rows))
        show(as_table(rows), f"written to {folder}")
        failed = _write_page(folder) if config.report and any(row.status == "ok" for row in rows) else []
        if upload := sync_command(folder):
            show(f"to upload: {upload}")
        if not rows or any(row.status != "ok" for row in rows) or _unlogged(folder):
            failed.append(f"to see what failed, and how to finish it: python -m nave.sweep {folder}")
        if failed:
            show(*(f"{line}\n" for line in failed))
            sys.exit(1)


class Failures(Callback):
    """At the end of a sweep of trainings, prints those that failed or were refused their folders, and fails."""

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:  # noqa: ARG002 - Hydra's
        """Notes the start; called by Hydra when the sweep starts."""
        self._start = datetime.now().astimezone()
        shutil.rmtree(_refusals(Path(config.hydra.sweep.dir)), ignore_errors=True)

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:  # noqa: ARG002 - Hydra's
        """Prints the failures; called by Hydra when the sweep has ended."""
        folder = Path(config.hydra.sweep.dir)
        refused = {path.stem: path.read_text() for path in sorted(_refusals(folder).glob("*.txt"))}
        failed = _failed(folder, self._start) | refused
        if upload := sync_command(folder):
            show(f"to upload: {upload}")
        if failed:
            show(*(f"{name}: {reason}\n" for name, reason in failed.items()))
            sys.exit(1)


@contextmanager
def _ended_by_errors() -> Iterator[None]:
    """Around a callback: Hydra would make a warning of its error, and go on."""
    try:
        yield
    except Exception as error:
        show(f"error: {error}")
        sys.exit(1)


def _make_own_folder(config: DictConfig, kind: Literal["run", "sweep"]) -> None:
    """Creates a folder that is named by the time, under a name that no other process has taken.

    A folder that the command line names, or Lightning for its further processes, is taken as it is.
    """
    node = config.hydra[kind]
    if "${now:" not in OmegaConf.to_yaml(node, resolve=False):
        return
    if not is_rank_zero():
        raise FolderInUseError(
            f"several processes need one folder, and the time names several: hydra.{kind}.dir=FOLDER"
        )
    folder = own_folder(Path(node.dir))
    with read_write(config), open_dict(config):
        node.dir = str(folder)
        config.hydra.overrides.hydra.append(f"hydra.{kind}.dir={_quoted(folder)}")  # for the jobs of a sweep


def _name_what_varies(config: DictConfig) -> None:
    """Tells the jobs which overrides all of them share, so that their folders are named by the others."""
    parsed = overrides_parser().parse_overrides(as_given(config.hydra.overrides.task))
    varied = {override.key_or_group for override in parsed if override.is_sweep_override()}
    constant = dict.fromkeys(override.key_or_group for override in parsed if override.key_or_group not in varied)
    with read_write(config), open_dict(config):
        config.hydra.overrides.hydra.append(f"{CONSTANT}=[{','.join(map(_quoted, constant))}]")


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
        failed += _write_page(run.folder.path)
    if failed:
        raise FollowUpError(f"{run.folder.path} is complete, but {'; '.join(failed)}")


def _write_page(folder: Path) -> list[str]:
    """Writes the report on a run or sweep; why it could not be written, and the command that writes it."""
    from nave.report.page import write_report  # plots need matplotlib, which takes its time to import

    try:
        show(f"look at {write_report(folder)}")
    except Exception as error:
        return [f"its report: {error}; to write it: python -m nave.report {shlex.quote(str(folder))}"]
    return []


def _unlogged(folder: Path) -> list[Path]:
    """The jobs of a sweep that are complete, but not known to all of their loggers."""
    records = {path.parent: read_record(RunFolder(path.parent)) for path in sorted(folder.glob(f"*/{RUN}"))}
    return [job for job, record in records.items() if record and "unlogged" in record]


def plan(config: DictConfig) -> Plan:
    """The jobs that a sweep is going to run."""
    task, hydra = (as_given(config.hydra.overrides[part]) for part in ("task", "hydra"))
    parser = overrides_parser()
    try:
        (jobs,) = BasicSweeper.split_arguments(parser.parse_overrides(task), max_batch_size=None)
    except HydraException:  # such as an interval for a search
        return Plan(overrides=hydra + task, jobs=None)
    return Plan(overrides=hydra + task, jobs=jobs if is_grid(config) else None)


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
    single = [resume_command(folder / job) for job in unfinished] + [resume_command(job) for job in _unlogged(folder)]
    if "running" in states.values() or sweep["jobs"] is None:
        return ["jobs that ended without results are resumed by", *single] if single else []
    if not single and not not_started:
        return ["complete"]
    kept = [override for override in sweep["overrides"] if not override.startswith(REPLACED)]
    everything = _command("-m", *kept, f"hydra.sweep.dir={_quoted(folder)}", "skip_existing=true")
    one_by_one = ["or job by job", *single] if single else []
    return ["the sweep is finished by", everything, *one_by_one]


def resume_command(job: Path, module: str = "run") -> str:
    """The command line that resumes one job of ``nave.run``, or of another module, in its own folder."""
    return _command(*overrides_of(RunFolder(job)), f"hydra.run.dir={_quoted(job)}", module=module)


def _command(*arguments: str, module: str = "run") -> str:
    return shlex.join(["python", "-m", f"nave.{module}", *arguments])


def _quoted(path: Path | str) -> str:
    return f'"{path}"'  # Hydra would interpret = and , in the name of a folder


def _failed(folder: Path, start: datetime) -> dict[str, str]:
    """Errors, by name, of the trainings that started or resumed after ``start`` and did not succeed."""
    records = {path.parent.name: read_record(RunFolder(path.parent)) for path in sorted(folder.glob(f"*/{RUN}"))}
    return {
        name: record.get("error", record["status"])
        for name, record in records.items()
        if record is not None
        and record["status"] != "ok"
        and datetime.fromisoformat(record["attempts"][-1]["started"]) >= start
    }


def _refusals(folder: Path) -> Path:
    """The folder with the reasons why jobs were refused their folders."""
    return RunFolder(folder / "job").refusal.parent
