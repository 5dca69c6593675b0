"""Draws a figure of maps under several runs and K, in aligned colours: ``python -m nave.figure outputs/…``."""

import argparse
import sys
from collections.abc import Sequence
from itertools import chain, count
from pathlib import Path

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
    parser.add_argument("--no-boxes", action="store_true", help="leave out the chosen boxes and the true ones")
    parser.add_argument(
        "--output", type=Path, nargs="+", help="files to write (figure.pdf and figure.png in the first folder)"
    )
    _draw(parser.parse_args(arguments))


def _draw(options: argparse.Namespace) -> None:
    # they import torch, which takes seconds that --help need not take
    from nave.comparison.figure import figure, save
    from nave.comparison.pictures import chosen_pictures, chosen_runs

    outputs = options.output or unused(options.folder[0] / "figure", (".pdf", ".png"))
    if existing := [path for path in outputs if path.exists()]:
        raise ValueError(f"{existing[0]} exists already: name another file, or delete it")
    runs = chosen_runs(options.folder, options.k)
    shown = chosen_pictures(runs, options.images, ROWS)
    page = figure(runs, shown, columns=options.columns, boxes=not options.no_boxes)
    for path in outputs:
        save(page, path)
    show(f"written to {', '.join(map(str, outputs))}")


def unused(path: Path, suffixes: Sequence[str]) -> list[Path]:
    """The path with every suffix; with a number after its name where one of these files exists."""
    names = chain([path.name], (f"{path.name}_{number}" for number in count(2)))
    files = ([path.with_name(name + suffix) for suffix in suffixes] for name in names)
    return next(group for group in files if not any(file.exists() for file in group))


if __name__ == "__main__":
    sys.exit(main())
