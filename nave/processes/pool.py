"""A pool of processes for the work on single images, such as finishing them while the device clusters the next ones.

Processes and not threads: a thread that wants to run Python takes the interpreter from the thread that feeds the GPU.
"""

import gc
import multiprocessing
import os
import signal
import sys
import threading
import traceback
import warnings
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from typing import Any, Generic, NamedTuple, TypeVar

from nave.processes.signals import end_with, uninterrupted

Item = TypeVar("Item")
Result = TypeVar("Result")
FEW = 16  # images that are not worth processes of their own
CHUNK = 8  # images that a process is given at once, so that calls cost little
_function: Callable[[Any], Any]  # of a process of the pool


class Done(NamedTuple):
    """What a process has finished of a chunk, and the error at which it stopped."""

    results: list[Any]
    error: Exception | None


class Pool(Generic[Item, Result]):
    """Calls a function for every item in other processes, and takes the results in the items' order.

    The processes are forked, as those of a data loader are: they inherit the function with all it refers to, and must
    not touch the GPU. They end with this process, however it ends. Where forking is not possible, they are started
    anew.

    Args:
        function: Called for every item; it must not depend on the order of calls.
        take: Called in this process with the result of every item, in order.
        processes: Their number; 0 calls the function in this process.
        pending: Number of submitted sequences at which :meth:`submit` blocks, so that they do not fill the memory.
    """

    def __init__(
        self, function: Callable[[Item], Result], take: Callable[[Result], None], *, processes: int, pending: int
    ) -> None:
        self._function, self._take, self._processes, self._limit = function, take, processes, pending
        self._waiting: deque[list[Future[Done]]] = deque()
        self._executor = _started(function, processes) if processes else None

    def submit(self, items: Sequence[Item]) -> None:
        """Queues items; raises the error of an earlier one, with all results before it taken."""
        if self._executor is None:
            self._finished(_done(self._function, items))
            return
        size = min(CHUNK, -(-len(items) // self._processes) or 1)
        chunks = [items[first : first + size] for first in range(0, len(items), size)]
        with uninterrupted():
            self._waiting.append([self._executor.submit(_call, chunk) for chunk in chunks])
        while self._waiting and (len(self._waiting) > self._limit or all(f.done() for f in self._waiting[0])):
            self._settle()

    def drain(self) -> None:
        """Waits for all items; raises the error of the first one that failed."""
        while self._waiting:
            self._settle()

    def finish(self) -> None:
        """Waits for all items as :meth:`drain`, and for the end of the processes, some 50 ms for each of them."""
        self.drain()
        self._end()

    def abandon(self) -> None:
        """Drops what no process has begun, and takes the results of the rest."""
        self._end()
        for future in [future for futures in self._waiting for future in futures]:
            if not future.cancelled() and future.exception() is None:
                for result in future.result().results:
                    self._take(result)
        self._waiting.clear()

    def _settle(self) -> None:
        """Takes the oldest results."""
        chunks = self._waiting[0]
        try:
            while chunks:
                done = chunks[0].result()
                del chunks[0]
                self._finished(done)
            self._waiting.popleft()
        except BrokenProcessPool as error:
            self.abandon()
            raise RuntimeError("a process that finishes images was killed: is there enough memory?") from error
        except Exception:  # one of an item; what interrupts the waiting leaves the others to be finished
            self.abandon()
            raise

    def _finished(self, done: Done) -> None:
        for result in done.results:
            self._take(result)
        if done.error is not None:
            raise done.error

    def _end(self) -> None:
        if self._executor is not None:
            with uninterrupted():
                self._executor.shutdown(cancel_futures=True)


def each(function: Callable[[Item], Result], items: Sequence[Item], processes: int) -> list[Result]:
    """Calls a function for every item in a pool of its own; returns the results in the items' order."""
    results: list[Result] = []
    pool = Pool(function, results.append, processes=processes, pending=1)
    try:
        pool.submit(items)
        pool.finish()
    except BaseException:
        pool.abandon()
        raise
    return results


def _started(function: Callable[[Any], Any], processes: int) -> ProcessPoolExecutor:
    context = multiprocessing.get_context("fork" if sys.platform == "linux" else None)
    executor = ProcessPoolExecutor(processes, context, _begin, (function, os.getpid()))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python's, about threads that hold locks while forking
        with uninterrupted():
            executor.submit(_call, ()).result()  # forks all processes now
    return executor


def _begin(function: Callable[[Any], Any], parent: int) -> None:
    """Prepares a process of the pool."""
    global _function  # noqa: PLW0603 - of this process, as initargs are not given to calls
    _function = function
    as_child()
    threading.Thread(target=end_with, args=(parent,), name="parent", daemon=True).start()
    gc.freeze()  # what is inherited stays shared
    if torch := sys.modules.get("torch"):  # what was not inherited has no threads
        torch.set_num_threads(1)


def as_child(number: int = 0) -> None:  # noqa: ARG001 - of a worker of a data loader
    """Leaves signals to the parent of this process, whose handlers it inherits."""
    signal.set_wakeup_fd(-1)  # it is the parent's: a signal to this process would look like one to the parent
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent too, which ends this process


def _call(items: Sequence[Any]) -> Done:
    return _done(_function, items)


def _done(function: Callable[[Any], Any], items: Sequence[Any]) -> Done:
    results: list[Any] = []
    try:
        for item in items:
            results.append(function(item))  # noqa: PERF401 - those before an error count
    except Exception as error:
        with suppress(Exception):
            error.add_note(traceback.format_exc())  # a traceback does not travel between processes
        return Done(results, error)
    return Done(results, None)
