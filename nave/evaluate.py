"""Chooses the boxes of finished runs and scores them again from disk, without images or encoder."""

import argparse
import sys
from pathlib import Path

from nave.viz.terminal import command, score_table, show


@command
def main(arguments: list[str] | None = None) -> None:
    """Runs the command."""
    parser = argparse.ArgumentParser(prog="python -m nave.evaluate", description=__doc__)
    parser.add_argument("run", type=Path, nargs="+", help="folder of a finished run")
    parser.add_argument(
        "--set",
        action="append",
        metavar="KEY=VALUE",
        help="score with another option (iou, hard, inner, per_class, per_size, groups) and write nothing",
    )
    given = parser.parse_args(arguments)
    # they import torch, which takes seconds that --help need not take
    from nave.runs.choice import choose_again
    from nave.runs.layout import RunFolder
    from nave.runs.scoring import evaluate

    for run in given.run:
        if not given.set:
            choose_again(RunFolder(run))
        show(score_table(str(run), evaluate(RunFolder(run), given.set)))


if __name__ == "__main__":
    sys.exit(main())
