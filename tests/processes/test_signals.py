"""Signals end the work at once, or a line says that they cannot."""

import os
import signal
import subprocess
import sys
import time

import pytest

from nave.processes.signals import stopped_at_once, uninterrupted


def test_sigterm_ends_the_work_at_once_and_is_then_as_before() -> None:
    def work() -> None:
        with stopped_at_once(lambda _: None):
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(10)

    with pytest.raises(SystemExit) as end:
        work()
    assert end.value.code == 128 + signal.SIGTERM
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


@pytest.mark.parametrize(("number", "end"), [(signal.SIGTERM, SystemExit), (signal.SIGINT, KeyboardInterrupt)])
def test_a_signal_whose_exception_python_drops_ends_the_work_all_the_same(
    number: signal.Signals, end: type[BaseException]
) -> None:
    class Interrupted:
        def __del__(self) -> None:
            os.kill(os.getpid(), number)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have left it ignored
    dropped: list[object] = []
    hook, sys.unraisablehook = sys.unraisablehook, lambda one: dropped.append(one.exc_type)
    try:
        with pytest.raises(end), stopped_at_once(lambda _: None):
            Interrupted()  # no name holds it: it is gone at once
    finally:
        sys.unraisablehook = hook
        signal.signal(signal.SIGINT, before)
    assert dropped == [end]


def test_what_others_do_on_sigterm_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: seen.append(number))
    try:
        with stopped_at_once(lambda _: None):
            os.kill(os.getpid(), signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert seen == [signal.SIGTERM]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_process_that_does_not_react_to_a_signal_says_so_and_is_ended(number: signal.Signals) -> None:
    script = (
        "import hashlib, signal, nave.processes.signals as d\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a shell may have left it ignored
        "d.GRACE = 0.2\n"
        "with d.stopped_at_once(lambda name: print(name, flush=True)):\n"
        "    print('ready', flush=True)\n"
        "    hashlib.pbkdf2_hmac('sha256', b'', b'', 10**9)\n"  # minutes without an instruction of Python
    )
    pipe = subprocess.PIPE
    process = subprocess.Popen([sys.executable, "-c", script], stdout=pipe, stderr=pipe, text=True)
    assert process.stdout
    assert process.stdout.readline() == "ready\n"
    time.sleep(0.5)  # until the computation has begun
    process.send_signal(number)
    out, errors = process.communicate(timeout=30)
    assert out == f"{number.name}\n"
    assert errors == "stopping within 0 seconds; what is finished is kept\n"
    assert process.returncode == 128 + number


def test_an_interrupt_waits_for_what_must_not_stop_half_way() -> None:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have left it ignored
    done: list[str] = []

    def interrupted() -> None:
        with uninterrupted():
            signal.raise_signal(signal.SIGINT)
            done.append("all of it")

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert done == ["all of it"]
    assert signal.signal(signal.SIGINT, before) is signal.default_int_handler
