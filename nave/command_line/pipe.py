"""Output into a pipe whose reader has had enough, such as ``nave train --help | head -1``."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def ended_with_its_reader() -> Iterator[None]:
    """Ends the process without a traceback, with a shell's code of SIGPIPE, where nobody reads what it prints."""
    try:
        try:
            yield
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes once more when it ends
        sys.exit(128 + signal.SIGPIPE)
