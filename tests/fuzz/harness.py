"""What every reader owes to every input: a result, or an error of its own that names the file."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from hypothesis import HealthCheck, settings

from nave.data.interface import MalformedDataError, MissingDatasetError, UnreadableImageError
from nave.weights.file import WeightsError

TESTS = 22  # among which the inputs are divided
INPUTS = int(os.environ.get("NAVE_FUZZ", "360"))  # of all tests together; ``make fuzz`` takes 100,000
SHORT = INPUTS <= 10_000
OWN = (MalformedDataError, UnreadableImageError, MissingDatasetError, WeightsError, FileNotFoundError)
T = TypeVar("T")

thorough = settings(
    max_examples=max(1, INPUTS // TESTS),
    deadline=None if SHORT else 10_000,  # milliseconds; a hang of the quick suite meets pytest's timeout
    derandomize=SHORT,  # the quick suite is the same every time
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
# for what takes a tenth of a second an input
expensive = settings(thorough, max_examples=max(8, thorough.max_examples // 20))


def read(path: Path, content: bytes, reader: Callable[[Path], T]) -> T | None:
    """What ``reader`` makes of ``content`` at ``path``; None for an error that names the file.

    Nothing may be written, and an error of any other type fails the test.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return lawful(path, lambda: reader(path))


def lawful(path: Path, call: Callable[[], T]) -> T | None:
    """The result of ``call``; None if it raises an error that names ``path``, and only then."""
    before = sorted(path.parent.rglob("*"))
    try:
        result = call()
    except (*OWN, ValueError) as error:
        assert_names(error, path.name)
        return None
    finally:
        assert sorted(path.parent.rglob("*")) == before
    return result


def assert_names(error: Exception, *names: str) -> None:
    """Fails unless the error can be printed and its message has one of the names; one of a library does not count."""
    str(error).encode()  # a terminal and a log take no lone surrogates
    if isinstance(error, UnicodeError) or not any(name in str(error) for name in names):
        raise AssertionError(f"{type(error).__name__} without {' or '.join(names)}: {error}") from error
