"""Writes the page of a run, of a sweep, or of several side by side: ``python -m nave.report outputs/…``."""

import argparse
import os
import sys
from pathlib import Path

from nave.report.page import PAGE, write_page
from nave.terminal import show


def main(arguments: list[str] | None = None) -> int:
    """The command line; exit code 1 with one clear line where there is nothing to show."""
    parser = argparse.ArgumentParser(prog="python -m nave.report", description=__doc__)
    parser.add_argument("folder", type=Path, nargs="+", help="folder of a run, of a sweep, or of several")
    parser.add_argument("--output", type=Path, help=f"the page; {PAGE} in the folder, or in the folders' common one")
    options = parser.parse_args(arguments)
    page = options.output or Path(os.path.commonpath([folder.absolute() for folder in options.folder])) / PAGE
    try:
        write_page(options.folder, page)
    except (FileNotFoundError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    show(f"written to {os.path.relpath(page)}, {page.stat().st_size / 1e6:.1f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
