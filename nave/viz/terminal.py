"""Output in a terminal: tables that are also readable in a log file, and errors in one line."""

import re
import signal
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import wraps
from os.path import commonprefix
from typing import Any, NamedTuple, ParamSpec

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, JustifyMethod, RenderResult
from rich.table import Table

from nave.metrics.bootstrap import Score
from nave.processes.signals import ended_with_its_reader, going_on_without_reader

P = ParamSpec("P")
LOG_WIDTH, NAMED = 120, 3  # columns; headings named of those that were left out
ELLIPSIS = "\u2026"
LONGEST = 32  # characters of a word in a table that is too wide


def show(*renderables: Any) -> None:
    """Prints to standard output: colours in a terminal only (unless NO_COLOR is set), lines at full length in a log.

    Markup and emoji are off, since names of files may look like either.
    """
    console = _Console(markup=False, emoji=False, highlight=False)
    if not console.is_terminal:
        unbounded = console.options.update(max_width=10_000)
        widths = (console.measure(renderable, options=unbounded).maximum for renderable in renderables)
        console.width = max(LOG_WIDTH, *widths)
    for one in renderables:
        console.print(one, soft_wrap=isinstance(one, str))  # a path that the terminal itself wraps can be copied


def announce(*renderables: Any) -> None:
    """Prints what a job has done, for whoever still reads: its results are on disk, and are finished in any case."""
    with going_on_without_reader():
        show(*renderables)


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Lets the caller decide; Rich would end the process, with code 1."""
        raise BrokenPipeError


class FittedTable(Table):
    """A table that leaves out columns where a terminal is too narrow for its words.

    Long words are shortened and intervals go to a line of their own first. Columns that are justified to the right are
    never broken otherwise.

    Args:
        expendable: headings of what may be left out, the first ones first; the list may grow with the table.
        kept_in: the file that has all.
    """

    def __init__(self, *columns: str, expendable: Sequence[str] = (), kept_in: str = "", **options: Any) -> None:
        super().__init__(*columns, **options)
        self.expendable, self.kept_in = [*expendable], kept_in

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Rich's protocol."""
        whole = [_Column(str(one.header), one.justify, [str(cell) for cell in one.cells]) for one in self.columns]
        if _needed(whole) <= options.max_width:
            return super().__rich_console__(console, options)
        return self._narrow(whole, options.max_width).__rich_console__(console, options)

    def _narrow(self, whole: "Sequence[_Column]", width: int) -> Table:
        columns, left_out = [column.narrowed() for column in _with_short_words(whole)], []
        for number in (i for heading in self.expendable for i, one in enumerate(whole) if one.heading == heading):
            if _needed([column for i, column in enumerate(columns) if i not in left_out]) > width:
                left_out.append(number)
        kept = [column for i, column in enumerate(columns) if i not in left_out]
        table = Table(title=self.title, title_justify=self.title_justify, caption=self.caption, caption_justify="left")
        if left_out:
            named = ", ".join(" ".join(whole[number].heading.split()) for number in left_out[:NAMED])
            more = f" and {len(left_out) - NAMED} more" if len(left_out) > NAMED else ""
            where = f"; all are in {self.kept_in}" if self.kept_in else ""
            table.caption = f"left out in {width} columns: {named}{more}{where}"
        fits = _needed(kept) <= width
        for column in kept:
            no_wrap = fits and not column.breaks
            table.add_column(column.heading, justify=column.justify, no_wrap=no_wrap, overflow="fold")
        for row, cells in zip(self.rows, zip(*(column.cells for column in kept), strict=True), strict=True):
            table.add_row(*cells, style=row.style)
        return table


class _Column(NamedTuple):
    heading: str
    justify: JustifyMethod
    cells: list[str]

    @property
    def breaks(self) -> bool:
        """Whether lines may be broken between words."""
        return self.justify == "left" and any(" " in text for text in self.cells)

    @property
    def width(self) -> int:
        """The least number of characters in which no word is broken."""
        texts = [part for text in (self.heading, *self.cells) for part in text.splitlines()]
        parts = [word for text in texts for word in text.split(" ")] if self.breaks else texts
        return max(map(cell_len, parts), default=0)

    def narrowed(self) -> "_Column":
        """With intervals below their values, and a heading no wider than these or its longest word."""
        if self.justify != "right":
            return self
        cells = [cell.replace(" (", "\n(") for cell in self.cells]
        words = re.split(r" (?=\D)", self.heading)
        width = self._replace(heading="\n".join(words), cells=cells).width
        lines = words[:1]
        for word in words[1:]:
            fits = cell_len(f"{lines[-1]} {word}") <= width
            lines[-1:] = [f"{lines[-1]} {word}"] if fits else [lines[-1], word]
        return self._replace(heading="\n".join(lines), cells=cells)


def _with_short_words(columns: Sequence[_Column]) -> list[_Column]:
    texts = " ".join(text for column in columns for text in (column.heading, *column.cells))
    short = shortened(texts.split())

    def replaced(text: str) -> str:
        return re.sub(r"\S+", lambda word: short[word[0]], text)

    return [one._replace(heading=replaced(one.heading), cells=[*map(replaced, one.cells)]) for one in columns]


def shortened(words: Iterable[str]) -> dict[str, str]:
    """Words without what long ones have in common at their beginning, and without their middles.

    Those that would be alike stay as they are.
    """
    words = set(words)
    long = {word for word in words if cell_len(word) > LONGEST}
    common = re.sub(r"[^/_-]*$", "", commonprefix([*long])) if len(long) > 1 else ""  # noqa: RUF071 - no paths
    short = {word: _without_middle(f"{ELLIPSIS}{word[len(common) :]}" if common else word) for word in long}
    same = len({*short.values()} | (words - long)) < len(words)
    return {word: word if same else short.get(word, word) for word in words}


def _without_middle(word: str) -> str:
    half = (LONGEST - 1) // 2
    return word if cell_len(word) <= LONGEST else f"{word[:half]}{ELLIPSIS}{word[-half:]}"


def _needed(columns: Sequence[_Column]) -> int:
    """With borders and padding."""
    return sum(column.width + 3 for column in columns) + 1


def score_table(title: str, scores: Mapping[str, Mapping[str, Score]]) -> Table:
    """Tabulates scores, one row each and one column per K: percent with 95 % interval; omits undefined scores."""
    table = FittedTable(title=title, title_justify="left", kept_in="metrics.json")
    table.expendable = ["images", *reversed([*scores])]
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

    These are the errors that a user can fix. Other exceptions are bugs and keep their traceback. Ctrl-C gives 130.
    """

    @wraps(main)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> int:
        try:
            with ended_with_its_reader():
                return main(*args, **kwargs) or 0
        except (FileNotFoundError, ValueError) as error:
            print(f"error: {error}", file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            print("interrupted", file=sys.stderr)
            return 128 + signal.SIGINT

    return guarded
