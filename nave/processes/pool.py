"""A pool of processes for the work on single images, such as finishing them while the device clusters the next ones.

Processes and not threads: a thread that wants to run Python takes the interpreter from the thread that feeds the GPU.
"""

from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Generic, NamedTuple, TypeVar

from nave.processes.crew import Crew
from nave.processes.serving import noted

Item = TypeVar("Item")
Result = TypeVar("Result")
FEW = 16  # images that are not worth processes of their own
CHUNK, LEAST = 8, 4  # images that a process is given at once, so that calls cost little; unless there are fewer
AHEAD = 5  # chunks of a process, of which it works on one
READING = 0.5  # of the cores beside a GPU; to finish an image takes as long as to read it (nave.bench)


class Done(NamedTuple):
    """What a process has finished of a chunk, and the error at which it stopped."""

    results: list[Any]
    error: Exception | None


class Pool(Generic[Item, Result]):
    """Calls a function for every item in other processes (:class:`Crew`), and takes the results in the items' order.

    Args:
        function: called for every item; it must not depend on the order of calls.
        take: called in this process with the results of some items at a time, in order.
        processes: their number; 0 calls the function in this process.
        pending: number of submitted sequences at which :meth:`submit` blocks, so that they do not fill the memory.
    """

    def __init__(
        self, function: Callable[[Item], Result], take: Callable[[list[Result]], None], *, processes: int, pending: int
    ) -> None:
        self._function, self._take, self._processes, self._limit = function, take, processes, pending
        self._ends: deque[int] = deque()  # number of chunks until the end of every sequence whose results are to come
        self._results: list[Result] = []  # received, and not taken yet
        self._crew: Crew[Sequence[Item], Done] | None = None
        if processes:
            self._crew = Crew(partial(_chunk, function), processes, ahead=AHEAD, work="finishes images")

    def submit(self, items: Sequence[Item]) -> None:
        """Queues items; raises the error of an earlier one, with all results before it taken."""
        crew = self._crew
        if crew is None:
            self._finished(_done(self._function, items))
            return
        size = min(CHUNK, max(LEAST, -(-len(items) // self._processes)))
        try:
            for first in range(0, len(items), size):
                while crew.full:
                    self._settle(crew)
                crew.give(items[first : first + size])
            self._ends.append(crew.given)
            while crew.ready or len(self._ends) > self._limit:
                self._settle(crew)
        except Exception:  # one of an item; what interrupts the waiting leaves the others to be finished
            self.abandon()
            raise

    def drain(self) -> None:
        """Waits for all items; raises the error of the first one that failed."""
        try:
            while self._crew and self._crew.waiting:
                self._settle(self._crew)
        except Exception:
            self.abandon()
            raise

    def finish(self) -> None:
        """Waits for all items as :meth:`drain`, and for the end of the processes."""
        self.drain()
        if self._crew:
            self._crew.end()

    def abandon(self) -> None:
        """Drops what no process has begun, and takes the results of the rest."""
        if self._crew:
            for done in self._crew.abandon():
                self._results += done.results
        self._take_received()

    def _settle(self, crew: Crew[Sequence[Item], Done]) -> None:
        """Waits for the oldest results; takes them, and those after them that are there, at once."""
        error = self._receive(crew)
        while error is None and crew.ready:
            error = self._receive(crew)
        while self._ends and self._ends[0] <= crew.taken:
            self._ends.popleft()
        self._take_received()
        if error is not None:
            raise error

    def _receive(self, crew: Crew[Sequence[Item], Done]) -> Exception | None:
        done, _ = crew.take()
        self._results += done.results
        return done.error

    def _take_received(self) -> None:
        received, self._results = self._results, []
        if received:
            self._take(received)

    def _finished(self, done: Done) -> None:
        self._take(done.results)
        if done.error is not None:
            raise done.error


def each(function: Callable[[Item], Result], items: Sequence[Item], processes: int) -> list[Result]:
    """Calls a function for every item in a pool of its own; returns the results in the items' order."""
    results: list[Result] = []
    pool = Pool(function, results.extend, processes=processes, pending=1)
    try:
        pool.submit(items)
        pool.finish()
    except BaseException:
        pool.abandon()
        raise
    return results


def readers(cores: int) -> int:
    """How many processes read images where a GPU encodes them."""
    return max(1, round(READING * cores))


def finishers(cores: int) -> int:
    """How many processes finish images meanwhile."""
    return max(1, cores - readers(cores))


def _chunk(function: Callable[[Item], Result], items: Sequence[Item], _: memoryview) -> Done:
    return _done(function, items)


def _done(function: Callable[[Item], Result], items: Sequence[Item]) -> Done:
    results: list[Result] = []
    try:
        for item in items:
            results.append(function(item))  # noqa: PERF401 - those before an error count
    except Exception as error:
        return Done(results, noted(error))
    return Done(results, None)
