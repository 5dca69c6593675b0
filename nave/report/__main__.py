"""Writes the page of a run, of a sweep, or of several side by side: ``python -m nave.report outputs/…``."""

import argparse
import os
import sys
from pathlib import Path

from nave.command import command
from nave.report.page import PAGE, write_page
from nave.terminal import show


@command
def main(arguments: list[str] | None = None) -> None:
    """The command line; fails where there is nothing to show."""
    parser = argparse.ArgumentParser(prog="python -m nave.report", description=__doc__)
    parser.add_argument("folder", type=Path, nargs="+", help="folder of a run, of a sweep, or of several")
    parser.add_argument("--output", type=Path, help=f"the page; {PAGE} in the folder, or in the folders' common one")
    options = parser.parse_args(arguments)
    page = options.output or Path(os.path.commonpath([folder.absolute() for folder in options.folder])) / PAGE
    write_page(options.folder, page)
    show(f"written to {os.path.relpath(page)}, {page.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    sys.exit(main())
