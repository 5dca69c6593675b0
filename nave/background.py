"""Work that goes on beside the encoder, in order, on one thread."""

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor


class Background:
    """Calls functions one after the other on a thread of its own; an error surfaces at the next call here.

    ``pending``: calls that may wait, lest a slow disk fills the memory; beyond that :meth:`submit` waits too.
    """

    def __init__(self, pending: int) -> None:
        self._limit = pending
        self._waiting: deque[Future[None]] = deque()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="background")

    def submit(self, function: Callable[..., None], *arguments: object) -> None:
        """Queues one call; raises what an earlier one raised, and then nothing that waits is called any more."""
        self._waiting.append(self._thread.submit(function, *arguments))
        while self._waiting and (self._waiting[0].done() or len(self._waiting) > self._limit):
            self._settle()

    def finish(self) -> None:
        """Waits until all is done; raises as :meth:`submit`."""
        while self._waiting:
            self._settle()
        self._thread.shutdown()

    def abandon(self) -> None:
        """Waits for the call at work alone, and drops the others."""
        self._thread.shutdown(cancel_futures=True)

    def _settle(self) -> None:
        try:
            self._waiting.popleft().result()
        except BaseException:
            self.abandon()
            raise
