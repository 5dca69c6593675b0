"""Compares encoders on the same images, from finished runs: ``python -m nave.compare RUN RUN``."""

import argparse
import sys
from pathlib import Path

from nave.viz.terminal import command, show

PICTURES = 4  # images in the figure of maps if none is named


@command
def main(arguments: list[str] | None = None) -> None:
    """Runs the command."""
    parser = argparse.ArgumentParser(prog="python -m nave.compare", description=__doc__)
    parser.add_argument("run", type=Path, nargs="+", help="folders of runs or sweeps; the first is the reference")
    parser.add_argument("--k", nargs="+", default=[], help="only these numbers of clusters")
    parser.add_argument("--images", nargs="+", default=[], metavar="ID", help="rows of the figure of maps")
    parser.add_argument("--classes", action="store_true", help="show the figures of single classes too")
    parser.add_argument("--no-maps", action="store_true", help="leave out the figure of maps")
    parser.add_argument("--output", type=Path, default=Path("comparison"), help="folder to write to (%(default)s)")
    _compare(parser.parse_args(arguments))


def _compare(options: argparse.Namespace) -> None:
    # they import torch, which takes seconds that --help need not take
    from nave.comparison.display import presence_table, tables, write, write_maps
    from nave.comparison.measure import ANY
    from nave.comparison.pictures import chosen_pictures, chosen_runs
    from nave.comparison.rows import present_by_run, rows

    runs = chosen_runs(options.run, options.k)
    measured = rows(runs)
    write(options.output, measured)
    if not options.no_maps:
        write_maps(options.output, runs, chosen_pictures(runs, options.images, PICTURES))
    show(*tables(measured, options.classes))
    for quantity in ("mask_found", "box_found"):
        shown = [row for row in measured if options.classes or row.concept == ANY]
        if (present := present_by_run(shown, quantity)) and len({row.k for row in measured}) > 1:
            show(presence_table(present, quantity))
    show(f"written to {options.output}")


if __name__ == "__main__":
    sys.exit(main())
