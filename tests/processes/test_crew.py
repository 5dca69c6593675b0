"""Processes that are given work in turn: arrays of any size, order, errors, and processes that are lost."""

import multiprocessing
import os
import re
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

from nave.processes import crew
from nave.processes.crew import Crew, LostProcessError


@contextmanager
def at_work(function: Any, processes: int, ahead: int = 3) -> Iterator[Crew[Any, Any]]:
    one = Crew[Any, Any](function, processes, ahead=ahead, work="tests")
    try:
        yield one
    finally:
        one.stop()
    assert not multiprocessing.active_children()


def results(one: Crew[Any, Any], items: list[Any]) -> list[Any]:
    found = []
    for item in items:
        while one.full:
            found.append(one.take()[0])
        one.give(item)
    while one.waiting:
        found.append(one.take()[0])
    return found


def doubled(array: np.ndarray, room: memoryview) -> np.ndarray:
    return array * 2


@pytest.mark.parametrize("forks", [True, False])
@pytest.mark.parametrize("room", [1 << 10, 1 << 22])  # bytes: of no array, of several
@pytest.mark.parametrize("length", [0, 5000, 1 << 19])  # of small arrays, and of those that no pipe holds
def test_arrays_of_any_size_travel_both_ways(
    length: int, room: int, forks: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crew, "ROOM", room)
    monkeypatch.setattr(crew, "FORKS", forks)
    items = [np.arange(length + number, dtype=np.int64) for number in range(5)]
    with at_work(doubled, 1) as one:
        found = results(one, items)
    assert all(np.array_equal(item * 2, result) for item, result in zip(items, found, strict=True))


def test_what_lies_in_the_memory_of_an_item_is_there_when_its_result_is_taken() -> None:
    def write(number: int, room: memoryview) -> int:
        room[:100] = bytes([number]) * 100
        return number

    with at_work(write, 2) as one:
        for number in range(40):
            while one.full:
                result, room = one.take()
                assert bytes(room[:100]) == bytes([result]) * 100
            one.give(number)


def fails(item: Any, room: memoryview) -> Any:
    if item == "error":
        raise ValueError("what happened")
    if item == "strange":
        raise StrangeError("one", "two")
    return (lambda: None) if item == "unpicklable" else item


class StrangeError(Exception):
    def __init__(self, one: str, two: str) -> None:
        super().__init__(f"{one} and {two}")


def test_errors_come_in_their_turn_with_their_traceback() -> None:
    with at_work(fails, 2) as one:
        for item in ("first", "error", "strange", "unpicklable", "last"):
            one.give(item)
        assert one.take()[0] == "first"
        with pytest.raises(ValueError, match="what happened") as caught:
            one.take()
        assert "in fails" in "".join(caught.value.__notes__)
        with pytest.raises(RuntimeError, match="StrangeError: one and two"):
            one.take()
        with pytest.raises(RuntimeError, match="pickle"):
            one.take()
        assert one.take()[0] == "last"


@pytest.mark.parametrize(
    ("end", "how"),
    [
        (lambda: os.kill(os.getpid(), signal.SIGKILL), "was killed: is there enough memory?"),
        (lambda: os.kill(os.getpid(), signal.SIGUSR2), "was ended by SIGUSR2"),
        (lambda: os._exit(3), "has ended (exit code 3)"),
    ],
)
def test_a_lost_process_is_told_apart_from_an_error(end: Callable[[], None], how: str) -> None:
    def die(item: str, room: memoryview) -> str:
        if item == "die":
            end()
        return item

    with at_work(die, 2) as one:
        for item in ("first", "die", "second", "lost"):
            one.give(item)
        assert one.take()[0] == "first"
        with pytest.raises(LostProcessError, match=re.escape(f"a process that tests {how}")):
            one.take()
        assert list(one.abandon()) == ["second"]


def test_a_process_that_is_ended_at_once_is_no_signal_to_its_parent() -> None:
    reads, writes = socket.socketpair()
    with reads, writes:
        reads.setblocking(False)
        writes.setblocking(False)
        woken = signal.set_wakeup_fd(writes.fileno())
        try:
            for _ in range(5):
                with at_work(doubled, 2):
                    pass
        finally:
            signal.set_wakeup_fd(woken)
        with pytest.raises(BlockingIOError):  # nothing came
            reads.recv(1)
