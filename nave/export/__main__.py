"""Writes the results of a run as files of another tool: ``python -m nave.export RUN to=coco|fiftyone|labelme``."""

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from nave.viz.terminal import command, show

if TYPE_CHECKING:
    from nave.runs.reader import RunAtK

TARGETS = ("coco", "fiftyone", "labelme")  # each the function write_NAME of the module of that name
KEYS = ("to", "k", "output")


@command
def main(arguments: list[str] | None = None) -> None:
    """Runs the command."""
    parser = argparse.ArgumentParser(
        prog="python -m nave.export",
        description=__doc__,
        usage="%(prog)s RUN to=coco|fiftyone|labelme [k=3,5] [output=FOLDER]",
    )
    parser.add_argument("run", type=Path, help="folder of a finished run, or of a sweep: all of its runs")
    parser.add_argument(
        "option",
        nargs="*",
        help="to=coco, fiftyone or labelme; k=3,5: only these (default: all); output=FOLDER (export)",
    )
    given = parser.parse_args(arguments)
    _export(given.run, _options(given.option))


def _export(run: Path, options: Mapping[str, str]) -> None:
    # they import torch, which takes seconds that --help need not take
    from nave.comparison.pictures import chosen_runs
    from nave.export.images import Images

    to = options["to"]
    write: Callable[[RunAtK, Images, Path], None] = getattr(import_module(f"nave.export.{to}"), f"write_{to}")
    output = Path(options.get("output", "export"))
    for at_k in chosen_runs([run], [k for k in options.get("k", "").strip("[]").split(",") if k]):
        folder = output / at_k.results.path.relative_to(run)
        write(at_k, Images.of(at_k.run, output / at_k.run.folder.path.relative_to(run) / "images"), folder)
        show(f"written to {folder}")


def _options(given: Sequence[str]) -> dict[str, str]:
    options: dict[str, str] = {}
    for option in given:
        key, equals, value = option.partition("=")
        if key not in KEYS or not equals:
            raise ValueError(f"{option}: give {', '.join(f'{known}=' for known in KEYS)}")
        options[key] = value
    if options.get("to") not in TARGETS:
        found = f"to={options['to']}" if "to" in options else "no to="
        raise ValueError(f"{found}: choose to={', to='.join(TARGETS)}")
    return options


if __name__ == "__main__":
    sys.exit(main())
