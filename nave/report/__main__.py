"""Writes the report on one or several runs or sweeps: ``python -m nave.report outputs/…``."""

import argparse
import os
import sys
from pathlib import Path

from nave.runs.layout import PAGE
from nave.viz.terminal import command, show


@command
def main(arguments: list[str] | None = None) -> None:
    """Runs the command."""
    parser = argparse.ArgumentParser(prog="python -m nave.report", description=__doc__)
    parser.add_argument("folder", type=Path, nargs="+", help="folders of runs or sweeps")
    parser.add_argument("--output", type=Path, help=f"file to write; default: {PAGE} in the folder that contains all")
    options = parser.parse_args(arguments)
    page = options.output or Path(os.path.commonpath([folder.absolute() for folder in options.folder])) / PAGE
    from nave.report.page import write_page  # with torch, which takes seconds that --help need not take

    write_page(options.folder, page)
    show(f"written to {os.path.relpath(page)}, {page.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    sys.exit(main())
