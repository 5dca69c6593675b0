"""Shows the state of a sweep: ``python -m nave.sweep outputs/nave/2026-01-31_12-00-00``."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from nave.runs.layout import PLAN, RUN
from nave.viz.terminal import command, show


@command
def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; the exit code is 1 if a job has failed."""
    parser = argparse.ArgumentParser(prog="python -m nave.sweep", description=__doc__)
    parser.add_argument("sweep", type=Path, help=f"folder of a sweep, with {PLAN} and one folder with {RUN} per job")
    folder = parser.parse_args(arguments).sweep
    # they import torch, which takes seconds that --help need not take
    from nave.runs.summary import as_table
    from nave.runs.sweep import report

    rows, text = report(folder)
    show(as_table(rows))
    print(text)  # not by Rich, which would wrap commands
    return int(any(row.status not in ("ok", "running") for row in rows))


if __name__ == "__main__":
    sys.exit(main())
