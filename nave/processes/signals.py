"""SIGTERM, Ctrl-C, vanished parents and readers: a process ends at once, or says that it cannot. Without torch."""

import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

NOTHING = b"\0"  # the number of no signal
GRACE = 5.0  # seconds until a process that does not react to a signal is ended; what waits is written meanwhile
PATIENCE = 0.5  # seconds until somebody who has pressed Ctrl-C is given an answer


def end_with(parent: int) -> None:
    """Ends this process when the one that started it has vanished: it would go on writing beside the next attempt."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


@contextmanager
def stopped_at_once(stuck: Callable[[str], None]) -> Iterator[None]:
    """Lets SIGTERM end the work at once, as Ctrl-C does; Lightning notes it and goes on to predict.

    Python handles a signal between two of its own instructions. Where that takes longer than ``GRACE``, as within one
    long computation or while waiting for another process, ``stuck`` is called with the signal's name and the process
    ends without it. That holds for Ctrl-C too, unless it is ignored.

    What others, such as submitit, do on SIGTERM is left alone.
    """
    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGTERM) != signal.SIG_DFL:
        yield
        return
    reads, writes = socket.socketpair()
    writes.setblocking(False)
    done, asked = threading.Event(), list[signal.Signals]()
    watching = threading.Thread(target=_watch, args=(reads, done, asked, stuck), name="signals", daemon=True)
    watching.start()
    woken = signal.set_wakeup_fd(writes.fileno(), warn_on_full_buffer=False)
    signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        done.set()
        signal.set_wakeup_fd(woken)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        writes.send(NOTHING)  # processes that were forked meanwhile may hold it open
        watching.join()
        writes.close()
        reads.close()
    if asked:  # Python drops what a handler raises within a __del__: the next job of a sweep would begin
        raise KeyboardInterrupt if asked[0] == signal.SIGINT else SystemExit(128 + asked[0])


def stop(number: int, frame: object) -> None:  # noqa: ARG001 - of signal handlers
    """The handler of SIGTERM within :func:`stopped_at_once`."""
    raise SystemExit(128 + number)


def _watch(
    wakeups: socket.socket, done: threading.Event, asked: list[signal.Signals], stuck: Callable[[str], None]
) -> None:
    while (number := wakeups.recv(1)) != NOTHING:
        if number[0] not in (signal.SIGINT, signal.SIGTERM):
            continue
        asked.append(signal.Signals(number[0]))
        if done.wait(min(PATIENCE, GRACE)):
            continue
        print(f"stopping within {GRACE:.0f} seconds; what is finished is kept", file=sys.stderr, flush=True)
        if not done.wait(GRACE):
            stuck(asked[-1].name)
            os._exit(128 + number[0])


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Lets SIGINT and SIGTERM wait for what must not stop half-way, such as calls that take locks in Python."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    ours = [number for number, handler in handlers.items() if callable(handler)]
    for number in ours:
        signal.signal(number, lambda number, frame: came.append(number))  # noqa: ARG005 - of signal handlers
    try:
        yield
    finally:
        for number in ours:
            signal.signal(number, handlers[number])
        for late in came:
            signal.raise_signal(late)


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
