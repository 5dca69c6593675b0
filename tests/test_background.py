"""Calls beside the main thread: in order, bounded, no error lost."""

import threading

import pytest

from nave.background import Background


def test_calls_are_made_in_order_on_another_thread() -> None:
    seen: list[tuple[int, bool]] = []
    background = Background(pending=3)

    for number in range(20):
        background.submit(lambda n: seen.append((n, threading.current_thread() is threading.main_thread())), number)
    background.finish()

    assert seen == [(number, False) for number in range(20)]


def test_an_error_surfaces_and_stops_the_rest() -> None:
    seen: list[int] = []
    gate = threading.Event()
    background = Background(pending=8)
    background.submit(lambda: gate.wait(10) and None)
    background.submit(lambda: 1 / 0)
    background.submit(seen.append, 1)

    gate.set()
    with pytest.raises(ZeroDivisionError):
        background.finish()

    assert seen in ([], [1])  # what had begun before the error was looked at may have ended


def test_submitting_waits_when_too_much_waits() -> None:
    gate = threading.Event()
    background = Background(pending=1)
    background.submit(gate.wait, 10)
    threading.Timer(0.05, gate.set).start()

    background.submit(gate.wait, 10)  # returns once the first call is done

    assert gate.is_set()
    background.finish()


def test_abandoned_calls_are_not_made() -> None:
    seen: list[int] = []
    gate = threading.Event()
    background = Background(pending=8)
    background.submit(gate.wait, 10)
    background.submit(seen.append, 1)
    threading.Timer(0.05, gate.set).start()

    background.abandon()

    assert seen == []
