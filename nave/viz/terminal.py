"""Output in a terminal: tables that are also readable in a log file, and errors in one line."""

import sys
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, ParamSpec

from rich.console import Console
from rich.table import Table

from nave.metrics.bootstrap import Score

P = ParamSpec("P")
LOG_WIDTH = 120


def show(*renderables: Any) -> None:
    """Prints to standard output: colours in a terminal only (unless NO_COLOR is set), lines at full length in a log.

    Markup and emoji are off, since names of files may look like either.
    """
    console = Console(markup=False, emoji=False, highlight=False)
    if not console.is_terminal:
        unbounded = console.options.update(max_width=10_000)
        widths = (console.measure(renderable, options=unbounded).maximum for renderable in renderables)
        console.width = max(LOG_WIDTH, *widths)
    console.print(*renderables)


def score_table(title: str, scores: Mapping[str, Mapping[str, Score]]) -> Table:
    """Tabulates scores, one row each and one column per K: percent with 95 % interval; omits undefined scores."""
    table = Table(title=title, title_justify="left")
    table.add_column("")
    for folder in scores:
        table.add_column(folder if len(scores) > 1 else "", justify="right")
    table.add_column("images", justify="right")
    for name, first in next(iter(scores.values())).items():
        row = [by_name[name] for by_name in scores.values()]
        if any(score["value"] is not None for score in row):
            table.add_row(name, *map(score_text, row), str(first["images"]))
    return table


def score_text(score: Score) -> str:
    """``62.0 (52.0 to 71.0)``; ``62.0`` without an interval, and a dash for an undefined score."""
    if score["value"] is None:
        return "-"
    if score["low"] is None:
        return f"{score['value']:.1f}"
    return f"{score['value']:.1f} ({score['low']:.1f} to {score['high']:.1f})"


def command(main: Callable[P, int | None]) -> Callable[P, int]:
    """Decorates the ``main`` of a command: FileNotFoundError and ValueError become a line and exit code 1.

    These are the errors that a user can fix. Other exceptions are bugs and keep their traceback.
    """

    @wraps(main)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> int:
        try:
            return main(*args, **kwargs) or 0
        except (FileNotFoundError, ValueError) as error:
            print(f"error: {error}", file=sys.stderr)
            return 1

    return guarded
