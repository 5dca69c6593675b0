"""Processes that are given work in turn, each through a pipe and shared memory of its own; results come in order.

Neither ``concurrent.futures`` nor torch's ``DataLoader``: both keep threads for their queues, which take the
interpreter from the thread that feeds the GPU, and need half a millisecond of it for what takes a tenth here.
"""

import multiprocessing
import os
import pickle
import signal
import warnings
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any, Generic, TypeVar

from nave.processes.serving import FORKS, SIGNALS, Answer, serve
from nave.processes.shared_memory import ROOM, Rooms, packed, room_of
from nave.processes.signals import uninterrupted

Item = TypeVar("Item")
Result = TypeVar("Result")
Function = Callable[[Item, memoryview], Result]
UNREAD = 1 << 16  # bytes that a pipe holds for certain: what is longer is sent to a process that waits for it
PATIENCE = 5.0  # seconds until a process whose pipe is closed has ended


class LostProcessError(RuntimeError):
    """A process has ended before its work, though it returns every error: the message says how."""


@dataclass
class _Worker:
    """One process, its pipe, and its answers that were received before their turn."""

    process: Any
    pipe: Connection
    expected: int = 0  # answers that are to come
    answers: deque[bytes] = field(default_factory=deque)

    def give(self, message: bytes) -> None:
        while len(message) > UNREAD and self.expected:  # it may itself be sending what nobody receives
            self._receive()
        with uninterrupted():
            self.pipe.send_bytes(message)
        self.expected += 1

    def answer(self) -> bytes:
        """The next one, for which this waits; raises EOFError or OSError if the process has ended."""
        if not self.answers:
            self._receive()
        return self.answers.popleft()

    def _receive(self) -> None:
        self.pipe.poll(None)  # a signal may interrupt it, while half an answer would be the end of the others
        with uninterrupted():
            self.answers.append(self.pipe.recv_bytes())
            self.expected -= 1


class Crew(Generic[Item, Result]):
    """Calls a function in other processes, to which the items go in turn.

    The processes are forked, as those of a data loader are: they inherit the function with all it refers to, and must
    not touch the GPU. They end with this process, however it ends. Where forking is not possible, they are started
    anew, and share no memory.

    Args:
        function: called with an item and with shared memory (none where it cannot be shared) that is the item's until
            the result after its own is taken. It must not depend on the order of calls.
        processes: their number, at least 1.
        ahead: the largest number of items that one of them is given before their results are taken.
        work: what the processes do, for the error when one is killed.
    """

    def __init__(self, function: Function[Item, Result], processes: int, *, ahead: int, work: str) -> None:
        self._work, self._most = work, processes * ahead
        self._rooms = Rooms(self._most + processes, ROOM) if FORKS else None  # a result is read, the next one begun
        self.given = self.taken = 0  # items, and results
        with uninterrupted():
            self._workers = [_started(function, self._rooms) for _ in range(processes)]

    @property
    def pids(self) -> list[int]:
        """Of the processes."""
        return [worker.process.pid for worker in self._workers]

    @property
    def waiting(self) -> int:
        """Number of items of which the result was not taken."""
        return self.given - self.taken

    @property
    def full(self) -> bool:
        """Whether a result must be taken before the next item is given."""
        return self.waiting == self._most

    @property
    def ready(self) -> bool:
        """Whether the next result is there."""
        return bool(self.waiting) and (bool(self._next.answers) or self._next.pipe.poll())

    @property
    def _next(self) -> _Worker:
        """The process from which the next result comes."""
        return self._workers[self.taken % len(self._workers)]

    def give(self, item: Item) -> None:
        """Gives an item to the next process; raises LostProcessError."""
        number = self.given % (self._most + len(self._workers))
        message = pickle.dumps(packed(item, number, room_of(self._rooms, number)))
        try:
            (worker := self._workers[self.given % len(self._workers)]).give(message)
        except (EOFError, OSError) as error:
            raise self._lost(worker) from error
        self.given += 1

    def take(self) -> tuple[Result, memoryview]:
        """Waits for the next result, in the order of the items; returns it with the item's memory.

        Raises:
            LostProcessError: if its process was killed; and what the function raises.
        """
        number, answer = self.taken % (self._most + len(self._workers)), self._answer()
        if answer.error is not None:
            raise answer.error
        return answer.result, room_of(self._rooms, number)

    def _answer(self) -> Answer:
        try:
            answer: Answer = pickle.loads(self._next.answer())
        except (EOFError, OSError) as error:
            raise self._lost(self._next) from error
        self.taken += 1
        return answer

    def _lost(self, worker: _Worker) -> LostProcessError:
        worker.process.join(PATIENCE)
        return LostProcessError(f"a process that {self._work} {_end_of(worker.process.exitcode)}")

    def abandon(self) -> Iterator[Result]:
        """The results of what was begun, in order; what was not is dropped. The processes have ended then."""
        if self._rooms:
            self._rooms.drop()
        while self.waiting:
            try:
                answer = self._answer()
            except LostProcessError:
                self.taken += 1
                continue
            if not answer.dropped and answer.error is None:
                yield answer.result
        self.end()

    def end(self) -> None:
        """Ends the processes, when all results are taken."""
        with uninterrupted():
            for worker in self._workers:
                with suppress(OSError):
                    worker.pipe.send_bytes(b"")
            self._join()

    def stop(self) -> None:
        """Ends the processes wherever they are."""
        with uninterrupted():
            for worker in self._workers:
                worker.process.terminate()
            self._join()

    def _join(self) -> None:
        for worker in self._workers:
            worker.process.join()
            worker.pipe.close()
        self._workers = []


def _end_of(code: int | None) -> str:
    """How a process has ended, by its exit code as :mod:`multiprocessing` has it."""
    if code == -signal.SIGKILL:
        return "was killed: is there enough memory?"
    if code is not None and code < 0:
        return f"was ended by {signal.Signals(-code).name}"
    return f"has ended (exit code {code}): its own error, if any, stands above"


def _started(function: Function[Any, Any], rooms: Rooms | None) -> _Worker:
    context: Any = multiprocessing.get_context("fork" if FORKS else None)
    ours, theirs = context.Pipe()
    process = context.Process(target=serve, args=(function, theirs, rooms, os.getpid()), daemon=True)
    with warnings.catch_warnings(), _held_back():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python's, about threads that hold locks while forking
        process.start()
    theirs.close()  # it vanishes with the process then
    return _Worker(process, ours)


@contextmanager
def _held_back() -> Iterator[None]:
    """Lets signals to a process that is forked here wait for :func:`as_child`."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS) if FORKS else set[signal.Signals]()
    try:
        yield
    finally:
        if FORKS:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
