"""What a training changed: ``python -m nave.diff before.pth after.pth model=resnet50 data.root=photos/``.

Compares files of weights, ``model=A,B``, ``training=a,b``, the snapshots of one training (``training=NAME``), or the
folders of finished runs; every other ``key=value`` is one of ``nave.run``.
"""

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nave.command_line.overrides import check_overrides
from nave.run import main as explain
from nave.runs.layout import PAGE
from nave.viz.terminal import command, show

if TYPE_CHECKING:
    from nave.runs.reader import Run

IMAGES = 5  # in the table
OUTPUTS = Path("outputs/diff")


@command
def main(arguments: list[str] | None = None) -> None:
    """Runs the command."""
    parser = argparse.ArgumentParser(prog="python -m nave.diff", description=__doc__)
    parser.add_argument("what", nargs="+", help="files, folders of runs or sweeps, key=value; the first is 'before'")
    parser.add_argument("--output", type=Path, help=f"folder; named again, it is resumed (default: {OUTPUTS}/<time>)")
    options = parser.parse_args(arguments)
    folders = [Path(name) for name in options.what if Path(name).is_dir()]
    _measure(_explained(options.what, folders, options.output), folders)


def _explained(what: Sequence[str], folders: Sequence[Path], named: Path | None) -> Path:
    """The folder of output, with the runs to compare in it unless ``folders`` hold them."""
    # they import torch, which takes seconds that --help need not take
    from nave.comparison.sides import arguments as process_arguments
    from nave.comparison.sides import sweeps
    from nave.runs.sweep import own_folder

    planned = [] if folders else sweeps(what)
    if folders and len(folders) < len(what):
        other = next(name for name in what if not Path(name).is_dir())
        raise ValueError(f"{other}: compare finished runs with runs, or files with files")
    for overrides in planned:
        check_overrides("config", overrides)
    output = named or own_folder(OUTPUTS / f"{datetime.now():%Y-%m-%d_%H-%M-%S}")
    for number, overrides in enumerate(planned, 1):
        folder = output / str(number) if len(planned) > 1 else output
        with process_arguments("-m", *overrides, f'hydra.sweep.dir="{folder}"'):
            explain()
    return output


def _measure(output: Path, folders: Sequence[Path]) -> None:
    from nave.comparison import diff
    from nave.comparison.diff_display import tables
    from nave.report.page import write_page

    runs = diff.shown(diff.ordered(folders or [output]))
    found, rows = diff.measure(runs)
    diff.write(output, runs, found, rows)
    for table in tables(runs, found, rows, IMAGES):
        show(table)
    page = write_page([output], output / PAGE)
    show(f"look at {os.path.relpath(page)}")
    if not folders:
        _log(runs[0].run, page, {"figures": [row.flat() for row in rows], "images": [*diff.image_lines(runs, found)]})


def _log(run: "Run", page: Path, content: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    """Gives the comparison to W&B, if the runs were given to it."""
    from omegaconf import OmegaConf

    from nave.build import build_loggers
    from nave.loggers.wandb import WandbLogger

    for logger in build_loggers(OmegaConf.create(run.record["config"]["logger"])).values():
        if isinstance(logger, WandbLogger):
            try:
                logger.log_comparison(page, content)
            except Exception as error:
                cure = f"the same command with --output {page.parent} logs it again"
                raise ValueError(f"logger=wandb: {error.__cause__ or error}; {cure}") from error


if __name__ == "__main__":
    sys.exit(main())
