"""What a process of a crew does: it takes items from its pipe, calls a function, and answers."""

import ctypes
import gc
import pickle
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

from nave.processes.shared_memory import Given, Rooms, room_of, unpacked
from nave.processes.signals import end_with

FORKS = sys.platform == "linux"
SIGNALS = (signal.SIGINT, signal.SIGTERM)
MMAP_THRESHOLD, TRIM_THRESHOLD, KEPT = -3, -1, 1 << 25  # parameters of glibc's mallopt, and its largest threshold


class Answer(NamedTuple):
    """What it returns; neither a result nor an error if the item was dropped before the function was called."""

    result: Any = None
    error: Exception | None = None
    dropped: bool = False


def serve(function: Callable[[Any, memoryview], Any], pipe: Connection, rooms: Rooms | None, parent: int) -> None:
    """What a process does."""
    _begin(parent)
    while message := pipe.recv_bytes():
        given: Given = pickle.loads(message)
        answer = Answer(dropped=True) if rooms and rooms.dropped else _answered(function, given, rooms)
        pipe.send_bytes(_sendable(answer))


def _answered(function: Callable[[Any, memoryview], Any], given: Given, rooms: Rooms | None) -> Answer:
    room = room_of(rooms, given.room)
    try:
        return Answer(function(unpacked(given, room), room))
    except Exception as error:
        return Answer(error=noted(error))


def _sendable(answer: Answer) -> bytes:
    """A pickled answer; what cannot be pickled, or be made again, is replaced by an error that says so."""
    try:
        pickled = pickle.dumps(answer, pickle.HIGHEST_PROTOCOL)
        if answer.error is not None:
            pickle.loads(pickled)
    except Exception as error:
        failed = answer.error or error
        return pickle.dumps(Answer(error=noted(RuntimeError(f"{type(failed).__name__}: {failed}"), failed)))
    return pickled


def noted(error: Exception, cause: Exception | None = None) -> Exception:
    """An error with its traceback as a note, since a traceback does not travel between processes."""
    with suppress(Exception):
        error.add_note("".join(traceback.format_exception(cause or error)))
    return error


def _begin(parent: int) -> None:
    """Prepares a process."""
    as_child()
    keep_memory()
    threading.Thread(target=end_with, args=(parent,), name="parent", daemon=True).start()
    gc.freeze()  # what is inherited stays shared
    if torch := sys.modules.get("torch"):  # what was not inherited has no threads
        torch.set_num_threads(1)


def keep_memory() -> None:
    """Keeps freed memory in this process: to be given every photograph's anew costs as much time as to resize it."""
    with suppress(OSError, AttributeError):  # another C library than glibc
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(MMAP_THRESHOLD, KEPT)
        mallopt(TRIM_THRESHOLD, 4 * KEPT)


def as_child() -> None:
    """Leaves signals to the parent of this process, whose handlers it inherits."""
    signal.set_wakeup_fd(-1)  # it is the parent's: a signal to this process would look like one to the parent
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent too, which ends this process
    if FORKS:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
