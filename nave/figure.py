"""Draws a figure of maps under several runs and K, in aligned colours: ``python -m nave.figure outputs/…``."""

import argparse
import sys
from pathlib import Path

from nave.comparison.figure import figure, save
from nave.comparison.pictures import chosen_pictures, chosen_runs
from nave.viz.terminal import command, show

ROWS = 4  # images if none is named


@command
def main(arguments: list[str] | None = None) -> None:
    """Runs the command."""
    parser = argparse.ArgumentParser(prog="python -m nave.figure", description=__doc__)
    parser.add_argument("folder", type=Path, nargs="+", help="folders of runs or sweeps")
    parser.add_argument("--images", nargs="+", default=[], metavar="ID", help="one row each")
    parser.add_argument("--k", nargs="+", default=[], help="only these numbers of clusters")
    parser.add_argument("--columns", type=int, default=2, help="width in columns of a journal, 1 or 2")
    parser.add_argument("--output", type=Path, nargs="+", default=[Path("figure.pdf"), Path("figure.png")])
    options = parser.parse_args(arguments)
    runs = chosen_runs(options.folder, options.k)
    page = figure(runs, chosen_pictures(runs, options.images, ROWS), columns=options.columns)
    for path in options.output:
        save(page, path)
    show(f"written to {', '.join(map(str, options.output))}")


if __name__ == "__main__":
    sys.exit(main())
