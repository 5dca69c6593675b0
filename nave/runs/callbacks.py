"""What Hydra calls at the beginning and the end of runs and sweeps: their folders, plans and summaries."""

import shutil
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.errors import HydraException
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from nave.loggers.wandb_mode import sync_command
from nave.processes.distributed import is_rank_zero, tolerate_lost_jobs
from nave.runs.claim import FolderInUseError, claimed
from nave.runs.files import write_csv, write_json, write_whole
from nave.runs.folding import as_given, fold, is_grid, name_files, overrides_parser
from nave.runs.layout import PLAN, RUN, RunFolder
from nave.runs.record import read_record
from nave.runs.summary import as_markdown, as_table, flat, summary
from nave.runs.sweep import CONSTANT, Plan, in_quotes, not_logged, own_folder, written_page
from nave.viz.terminal import announce

_claims: dict[Path, ExitStack] = {}  # of the sweeps of this process; a callback is sent to the jobs


class SweepSummary(Callback):
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
            announce(f"the jobs run on when this shell is closed; how far they are: python -m nave.sweep {folder}")

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:  # noqa: ARG002 - Hydra's
        """Writes and prints the summary; called by Hydra when the sweep has ended."""
        folder = Path(config.hydra.sweep.dir)
        with _ended_by_errors(), _claims.pop(folder, ExitStack()):
            self._end(config, folder)

    def _end(self, config: DictConfig, folder: Path) -> None:
        rows = summary(folder, ended=True)
        write_csv(folder / "summary.csv", flat(rows))
        write_whole(folder / "summary.md", as_markdown(rows))
        announce(as_table(rows), f"written to {folder}")
        failed = written_page(folder) if config.report and any(row.status == "ok" for row in rows) else []
        if upload := sync_command(folder):
            announce(f"to upload: {upload}")
        if not rows or any(row.status != "ok" for row in rows) or not_logged(folder):
            failed.append(f"to see what failed, and how to finish it: python -m nave.sweep {folder}")
        if failed:
            announce(*failed)
            sys.exit(1)


class TrainingFailures(Callback):
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
            announce(f"to upload: {upload}")
        if failed:
            announce(*(f"{name}: {reason}" for name, reason in failed.items()))
            sys.exit(1)


@contextmanager
def _ended_by_errors() -> Iterator[None]:
    """Around a callback: Hydra would make a warning of its error, and go on."""
    try:
        yield
    except Exception as error:
        announce(f"error: {error}")
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
        config.hydra.overrides.hydra.append(f"hydra.{kind}.dir={in_quotes(folder)}")  # for the jobs of a sweep


def _name_what_varies(config: DictConfig) -> None:
    """Tells the jobs which overrides all of them share, so that their folders are named by the others."""
    parsed = overrides_parser().parse_overrides(as_given(config.hydra.overrides.task))
    varied = {override.key_or_group for override in parsed if override.is_sweep_override()}
    constant = dict.fromkeys(override.key_or_group for override in parsed if override.key_or_group not in varied)
    with read_write(config), open_dict(config):
        config.hydra.overrides.hydra.append(f"{CONSTANT}=[{','.join(map(in_quotes, constant))}]")


def plan(config: DictConfig) -> Plan:
    """The jobs that a sweep is going to run."""
    task, hydra = (as_given(config.hydra.overrides[part]) for part in ("task", "hydra"))
    parser = overrides_parser()
    try:
        (jobs,) = BasicSweeper.split_arguments(parser.parse_overrides(task), max_batch_size=None)
    except HydraException:  # such as an interval for a search
        return Plan(overrides=hydra + task, jobs=None)
    return Plan(overrides=hydra + task, jobs=jobs if is_grid(config) else None)


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
