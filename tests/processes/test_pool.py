"""The pool: order, errors, memory, and that no process outlives the one that started it."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from nave.processes.pool import Pool

SIZES = [0, 1, 3]  # processes


def pool(function: Any, processes: int, pending: int = 4) -> tuple[Pool[Any, Any], list[Any]]:
    taken: list[Any] = []
    return Pool(function, taken.extend, processes=processes, pending=pending), taken


def call(one: Pool[Any, Any], *sequences: Sequence[int]) -> None:
    for items in sequences:
        one.submit(items)
    one.finish()


@pytest.mark.parametrize("processes", SIZES)
def test_results_come_in_the_order_of_the_items(processes: int) -> None:
    def slow_if_even(number: int) -> tuple[int, int]:
        time.sleep(0.01 * (number % 2 == 0))
        return number, os.getpid()

    one, taken = pool(slow_if_even, processes)
    for first in range(0, 60, 20):
        one.submit(range(first, first + 20))
    one.finish()
    assert [number for number, _ in taken] == list(range(60))
    assert (os.getpid() in {pid for _, pid in taken}) == (processes == 0)
    assert not multiprocessing.active_children()


def fails_at_7(number: int) -> int:
    return 1 // (7 - number) * 0 + number


@pytest.mark.parametrize("processes", SIZES)
def test_an_error_comes_after_everything_before_it(processes: int) -> None:
    one, taken = pool(fails_at_7, processes)
    with pytest.raises(ZeroDivisionError) as caught:
        call(one, range(6), range(6, 12))
    assert taken[:7] == list(range(7))
    assert 7 not in taken
    assert len(taken) == len(set(taken))
    assert "fails_at_7" in "".join(getattr(caught.value, "__notes__", []))
    assert not multiprocessing.active_children()


def test_abandoning_keeps_what_is_finished_and_drops_the_rest() -> None:
    def slow(number: int) -> int:
        time.sleep(0.05)
        return number

    one, taken = pool(slow, 1, pending=100)
    for number in range(100):
        one.submit([number])
    one.abandon()
    assert taken == list(range(len(taken)))
    assert len(taken) < 100
    assert not multiprocessing.active_children()


def test_submitting_waits_when_too_much_waits(tmp_path: Path) -> None:
    def wait(name: str) -> None:
        while not (tmp_path / name).exists():
            time.sleep(0.01)

    one, taken = pool(wait, 1, pending=2)
    (tmp_path / "first").touch()
    for name in ("first", "second"):
        one.submit([name])
    for name in ("second", "third", "fourth"):
        (tmp_path / name).touch()
    start = len(taken)
    one.submit(["third"])
    one.submit(["fourth"])
    assert len(taken) >= max(start, 2)  # of four at most two are waiting
    one.finish()


def test_a_process_that_is_killed_ends_the_run() -> None:
    def die(number: int) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    one, _ = pool(die, 2)
    with pytest.raises(RuntimeError, match="was killed: is there enough memory"):
        call(one, [1])
    assert not multiprocessing.active_children()


SCRIPT = """
import faulthandler, os, signal, time
from nave.processes.signals import stopped_at_once
from nave.processes.pool import Pool

faulthandler.dump_traceback_later(40)
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have left it ignored
with stopped_at_once(lambda _: None):
    pool = Pool(lambda _: time.sleep(0.01), lambda _: None, processes=2, pending=1)
    try:
        print(*pool._crew.pids, flush=True)
        while True:
            pool.submit([1])
    except BaseException:
        pool.abandon()
        raise
"""


@pytest.mark.parametrize(
    "number",
    [signal.SIGTERM, *(pytest.param(number, marks=pytest.mark.slow) for number in (signal.SIGINT, signal.SIGKILL))],
)
def test_no_process_outlives_its_parent(number: signal.Signals) -> None:
    parent = subprocess.Popen([sys.executable, "-c", SCRIPT], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert parent.stdout
    children = [int(pid) for pid in parent.stdout.readline().split()]
    assert len(children) == 2
    parent.send_signal(number)
    try:
        _, errors = parent.communicate(timeout=60)
    except subprocess.TimeoutExpired:
        parent.kill()
        pytest.fail(parent.communicate()[1])
    assert parent.returncode, errors
    deadline = time.monotonic() + 20
    while any(Path(f"/proc/{pid}").exists() for pid in children) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not [pid for pid in children if Path(f"/proc/{pid}").exists()]
