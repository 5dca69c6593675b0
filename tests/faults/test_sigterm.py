"""SIGTERM ends the work within seconds, whatever it is at; what was computed is kept, and the record says so."""

import hashlib
import itertools
import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from nave.processes.signals import GRACE
from nave.runs.journal import Journal
from nave.runs.layout import RunFolder
from tests.faults.test_killed import explained, trained
from tests.helpers import training
from tests.helpers.faults import Fault, run, work
from tests.helpers.running import QUICK, into, photographs, record

pytestmark = pytest.mark.slow
AT = 4  # the call that does not end
SLACK = 10.0  # seconds, on a busy machine


def loop() -> None:
    while True:
        pass


def kernel() -> None:
    """Minutes without an instruction of Python."""
    hashlib.pbkdf2_hmac("sha256", b"", b"", 10**9)


def swallow() -> None:
    """Foreign code that takes the interruption for an error of its own, and tries again."""
    while True:
        try:
            loop()
        except BaseException:
            continue


ENDLESS: dict[str, Callable[[], None]] = {action.__name__: action for action in (loop, kernel, swallow)}
STEPS = {
    "nave.run": ("nave.encoder.encoder", "Encoder", "forward"),
    "nave.train": ("nave.training.training_module", "TrainingModule", "training_step"),
}


def work_endlessly(name: str, overrides: list[str], folder: Path, how: str) -> None:
    """In the new process: the command ``name``, a step of which does not end."""
    os.setpgrp()  # a SLURM step is signalled as one, with the processes that load images
    module, owner, step = STEPS[name]
    kind: Any = getattr(import_module(module), owner)
    original, calls = getattr(kind, step), itertools.count(1)

    def stuck(*arguments: Any, **options: Any) -> Any:
        if next(calls) == AT:
            folder.with_name("stuck").touch()
            ENDLESS[how]()
        return original(*arguments, **options)

    setattr(kind, step, stuck)
    work(name, overrides, str(folder), asdict(Fault()), f"{folder}.log")


def terminated(name: str, overrides: list[str], folder: Path, how: str) -> tuple[int | None, float]:
    """The exit code of a command that got SIGTERM in the endless step, and the seconds it took."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.helpers.warm"])
    process = context.Process(target=work_endlessly, args=(name, overrides, folder, how))
    process.start()
    while not folder.with_name("stuck").exists():
        assert process.is_alive(), Path(f"{folder}.log").read_text()
        time.sleep(0.05)
    assert process.pid
    os.killpg(process.pid, signal.SIGTERM)
    start = time.monotonic()
    process.join(60)
    return process.exitcode, time.monotonic() - start


@pytest.mark.parametrize(("how", "workers"), [("loop", 0), ("loop", 2), ("kernel", 0), ("kernel", 2), ("swallow", 0)])
def test_a_forward_pass_is_ended(tmp_path: Path, how: str, workers: int) -> None:
    overrides = [*QUICK, *photographs(tmp_path, 6), f"loader.num_workers={workers}"]
    folder = tmp_path / "terminated"
    code, seconds = terminated("nave.run", [*overrides, into(folder / "run")], folder, how)
    assert code == 128 + signal.SIGTERM
    assert seconds < SLACK + (0 if how == "loop" else GRACE)
    assert record(folder / "run")["status"] == "interrupted"
    assert len(Journal(RunFolder(folder / "run"), [2]).finished()) == AT - 1  # nothing that was computed is lost
    for name in ("terminated", "undisturbed"):
        assert run("nave.run", [*overrides, into(tmp_path / name / "run")], tmp_path / name, Fault()) == 0
    assert "(3 more are done)" in Path(f"{folder}.log").read_text()
    assert explained(folder) == explained(tmp_path / "undisturbed")


@pytest.mark.parametrize("how", ["loop", "kernel"])
def test_a_step_of_a_training_is_ended(tmp_path: Path, how: str) -> None:
    overrides = [*training.QUICK, *training.stl10(tmp_path), "trainer.accelerator=cpu"]  # two steps an epoch
    folder = tmp_path / "terminated"
    code, seconds = terminated("nave.train", [*overrides, into(folder / "run")], folder, how)
    assert code == 128 + signal.SIGTERM
    assert seconds < SLACK + (0 if how == "loop" else GRACE)
    assert record(folder / "run")["status"] == "interrupted"
    assert (folder / "run" / "last.ckpt").exists()
    for name in ("terminated", "undisturbed"):
        assert run("nave.train", [*overrides, into(tmp_path / name / "run")], tmp_path / name, Fault()) == 0
    assert trained(folder) == trained(tmp_path / "undisturbed")
