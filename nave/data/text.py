"""Text files of a data set, with errors that name them."""

import csv
import io
from pathlib import Path

from nave.data.errors import MalformedData


def read_text(file: Path) -> str:
    """Without a byte order mark; raises MalformedData, with file and line, for bytes that are not UTF-8."""
    content = file.read_bytes()
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise MalformedData(f"{file}, line {line}: not UTF-8 ({error.reason}); save it as UTF-8") from error


def read_list(file: Path) -> list[str]:
    """One entry a line, empty lines left out; raises MalformedData for a repeated entry or an empty list."""
    numbered = enumerate((line.strip() for line in read_text(file).splitlines()), 1)
    first: dict[str, int] = {}
    for number, entry in numbered:
        if entry in first:
            raise MalformedData(f"{file}, line {number}: {entry!r} is already on line {first[entry]}")
        if entry:
            first[entry] = number
    if not first:
        raise MalformedData(f"{file}: no entry")
    return list(first)


def read_rows(file: Path) -> list[list[str]]:
    """The cells of a comma-separated file, header first; raises MalformedData for what csv cannot parse."""
    try:
        return list(csv.reader(io.StringIO(read_text(file), newline=""), strict=True))
    except csv.Error as error:
        raise MalformedData(f"{file}: broken CSV: {error}") from error
