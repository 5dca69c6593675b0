"""A sweep while it runs and after: ``python -m nave.sweep outputs/nave/2026-01-31_12-00-00``."""

import argparse
import json
import shlex
import shutil
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf

from nave.results import RUN, write_json, write_whole
from nave.slurm import outlive_lost_jobs
from nave.summary import Row, as_csv, as_markdown, as_table, summary
from nave.terminal import show

PLAN = "sweep.json"
CHOSEN_ANEW = ("hydra.sweep.dir=", "hydra.mode=", "skip_existing=")


class Summary(Callback):
    """Notes what a sweep is going to do; in the end writes and prints what became of it, and fails if any job did."""

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:  # noqa: ARG002 - Hydra's
        """Called by Hydra where the sweep is launched."""
        folder = Path(config.hydra.sweep.dir)
        shutil.rmtree(folder / "refused", ignore_errors=True)
        write_json(folder / PLAN, plan(config))
        if "submitit" in config.hydra.launcher._target_:
            outlive_lost_jobs()

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:  # noqa: ARG002 - Hydra's
        """Called by Hydra where the sweep was launched."""
        folder = Path(config.hydra.sweep.dir)
        rows = summary(folder, ended=True)
        write_whole(folder / "summary.csv", as_csv(rows))
        write_whole(folder / "summary.md", as_markdown(rows))
        show(as_table(rows), f"written to {folder}")
        if config.report and any(row["status"] == "ok" for row in rows):
            from nave.report import write_report  # plots need matplotlib, which takes its time to import

            show(f"look at {write_report(folder)}")
        if not rows or any(row["status"] != "ok" for row in rows):
            show(f"to see what failed, and how to finish it: python -m nave.sweep {folder}")
            sys.exit(1)


def plan(config: DictConfig) -> dict[str, Any]:
    """The sweep's command line, and the overrides of each job; None where a sweeper finds them as it goes."""
    task, hydra = (_as_given(config.hydra.overrides[part]) for part in ("task", "hydra"))
    parser = OverridesParser.create(config_loader=GlobalHydra.instance().config_loader())
    try:
        (jobs,) = BasicSweeper.split_arguments(parser.parse_overrides(task), max_batch_size=None)
    except HydraException:  # an interval, say, for a search
        return {"overrides": hydra + task, "jobs": None}
    grid = str(config.hydra.sweeper._target_).endswith("BasicSweeper") and not config.hydra.sweeper.params
    return {"overrides": hydra + task, "jobs": jobs if grid else None}


def report(folder: Path) -> tuple[list[Row], str]:
    """The rows of the jobs so far; how many are done, and the commands that finish what is missing.

    Raises:
        FileNotFoundError: if ``folder`` is not that of a sweep.
    """
    if not (folder / PLAN).is_file():
        raise FileNotFoundError(f"{folder} holds no {PLAN}: is it the folder of a sweep (python -m nave.run -m …)?")
    sweep = json.loads((folder / PLAN).read_text(encoding="utf-8"))
    rows = summary(folder)
    states = {row["job"]: row["status"] for row in rows}
    jobs = "?" if sweep["jobs"] is None else len(sweep["jobs"])
    counts = ", ".join(f"{number} {status}" for status, number in sorted(Counter(states.values()).items()))
    lines = [f"{jobs} jobs, {len(states)} begun: {counts or 'none'}"]
    return rows, "\n".join([*lines, *_cures(folder, sweep, states)])


def _cures(folder: Path, sweep: dict[str, Any], states: dict[str, str]) -> list[str]:
    ended = [job for job, status in states.items() if status not in ("ok", "running")]
    unbegun = sweep["jobs"] is not None and len(states) < len(sweep["jobs"])
    single = [command(folder / job) for job in ended]
    if "running" in states.values() or sweep["jobs"] is None:
        return ["what has ended without result goes on with", *single] if single else []
    if not single and not unbegun:
        return ["complete"]
    kept = [override for override in sweep["overrides"] if not override.startswith(CHOSEN_ANEW)]
    everything = _command("-m", *kept, f"hydra.sweep.dir={_quoted(folder)}", "skip_existing=true")
    one_by_one = ["or job by job", *single] if single else []
    return ["what is missing is finished by", everything, *one_by_one]


def command(job: Path) -> str:
    """The command line that goes on with one job, in its own folder."""
    overrides = _as_given(OmegaConf.load(job / ".hydra" / "overrides.yaml"))
    return _command(*overrides, f"hydra.run.dir={_quoted(job)}")


def _as_given(overrides: Any) -> list[str]:
    """With their ``${…}``, which stand for something else in every job."""
    given = OmegaConf.to_container(overrides, resolve=False)
    assert isinstance(given, list)
    return [str(override) for override in given]


def _command(*arguments: str) -> str:
    return shlex.join(["python", "-m", "nave.run", *arguments])


def _quoted(path: Path) -> str:
    return f'"{path}"'  # Hydra would read = and , in a folder's name


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; exit code 1 where jobs have failed, or nothing can be said."""
    parser = argparse.ArgumentParser(prog="python -m nave.sweep", description=__doc__)
    parser.add_argument("sweep", type=Path, help=f"folder of a sweep, with {PLAN} and a folder with {RUN} a job")
    try:
        rows, text = report(parser.parse_args(arguments).sweep)
    except FileNotFoundError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    show(as_table(rows))
    print(text)  # commands must not be wrapped
    return int(any(row["status"] not in ("ok", "running") for row in rows))


if __name__ == "__main__":
    sys.exit(main())
