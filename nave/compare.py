"""Compares what encoders see in the same images, from finished runs: ``python -m nave.compare RUN RUN``."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from nave.command import command
from nave.comparison.plot import plot
from nave.comparison.rows import Row, Side, present_at, rows
from nave.comparison.table import as_csv, presence_table, tables
from nave.figure import figure, save
from nave.report.collect import Variant, runs, variants
from nave.report.pictures import Picture
from nave.report.settings import axes, distinguished, label
from nave.results import write_json, write_whole
from nave.terminal import show

PICTURES = 4  # images of the figure of maps


def sides(found: Sequence[Variant]) -> list[Side]:
    """The variants, named by the settings that differ between them."""
    keys = [key for key in axes(found) if key != "k"] or ["model", "training"]
    return [Side(label(one, keys), one.k, one.folder, one.lines) for one in found]


def compare(folders: Sequence[Path], ks: Sequence[str] = (), seed: int = 0) -> tuple[list[Variant], list[Row]]:
    """The finished runs in or under ``folders``, under the given K (all without), and every figure of them.

    Raises:
        FileNotFoundError: if there is no finished run, or one lost a map.
        ValueError: for a K that no run has; for runs without a common image.
    """
    every = variants(runs(folders))
    known = list(dict.fromkeys(variant.k for variant in every))
    if unknown := set(ks) - set(known):
        raise ValueError(f"no run has K = {', '.join(sorted(unknown))}: choose of {', '.join(known)}")
    found = distinguished([variant for variant in every if not ks or variant.k in ks])
    return found, rows(sides(found), seed=seed)


def write(folder: Path, found: Sequence[Row]) -> None:
    """comparison.json, comparison.csv and the plot as PDF and PNG."""
    write_json(folder / "comparison.json", [row.flat() for row in found])
    write_whole(folder / "comparison.csv", as_csv(found))
    page = plot(found)
    for suffix in ("pdf", "png"):
        save(page, folder / f"comparison.{suffix}")


def write_maps(folder: Path, found: Sequence[Variant], image_ids: Sequence[str]) -> None:
    """maps.pdf and maps.png: the first images that all runs explained, or those named, in aligned colours.

    Raises:
        ValueError: for an image that a run lacks, or more runs than a page can show.
        FileNotFoundError: if neither a run nor its data set has the photograph.
    """
    common = [image_id for image_id in found[0].lines if all(image_id in one.lines for one in found)]
    if missing := [image_id for image_id in image_ids if image_id not in common]:
        raise ValueError(f"no image {missing[0]!r} in all runs; they share {', '.join(common[:10])}")
    page = figure(found, [Picture(name, tuple(found)) for name in image_ids or common[:PICTURES]])
    for suffix in ("pdf", "png"):
        save(page, folder / f"maps.{suffix}")


@command
def main(arguments: list[str] | None = None) -> None:
    """The command line; fails where there is nothing to compare."""
    parser = argparse.ArgumentParser(prog="python -m nave.compare", description=__doc__)
    parser.add_argument("run", type=Path, nargs="+", help="folders of runs or sweeps; the first run is the reference")
    parser.add_argument("--k", nargs="+", default=[], help="only these numbers of clusters")
    parser.add_argument("--images", nargs="+", default=[], metavar="ID", help="rows of the figure of maps")
    parser.add_argument("--no-maps", action="store_true", help="leave out the figure of maps")
    parser.add_argument("--output", type=Path, default=Path("comparison"), help="folder to write to (%(default)s)")
    given = parser.parse_args(arguments)
    found, figures = compare(given.run, given.k)
    write(given.output, figures)
    if not given.no_maps:
        write_maps(given.output, found, given.images)
    show(*tables(figures))
    for quantity in ("mask_found", "box_found"):
        if (present := present_at(figures, quantity)) and len({row.k for row in figures}) > 1:
            show(presence_table(present, quantity))
    show(f"written to {given.output}")


if __name__ == "__main__":
    sys.exit(main())
