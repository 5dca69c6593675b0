"""Nothing of one job's processes reaches the next job."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hydra.core.hydra_config import HydraConfig
from lightning.fabric.utilities.rank_zero import rank_zero_only

from nave.processes.distributed import gpus_per_node, is_rank_zero, single_job, stopped_at_once, uninterrupted
from tests.helpers.compositions import composed


@pytest.fixture
def hydra(monkeypatch: pytest.MonkeyPatch) -> HydraConfig:
    config = HydraConfig()
    config.set_config(composed("config", "k=3", "hydra.mode=MULTIRUN", with_hydra=True))
    monkeypatch.setattr(HydraConfig, "instance", lambda *_: config)
    return config


def test_lightning_repeats_the_jobs_command_line_and_not_the_sweeps(
    hydra: HydraConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["run.py", "-m", "k=3,5"])
    with single_job(Path("job")):
        assert sys.argv == ["run.py", "k=3"]
        assert HydraConfig.get().run.dir == "job"
    assert sys.argv == ["run.py", "-m", "k=3,5"]


def test_what_lightning_puts_into_the_environment_is_gone_after_a_job_that_fails(hydra: HydraConfig) -> None:
    def fail() -> None:
        with single_job(Path("job")):
            os.environ["MASTER_ADDR_OF_A_TEST"] = "127.0.0.1"
            raise ValueError("k=0")

    with pytest.raises(ValueError, match="k=0"):
        fail()
    assert "MASTER_ADDR_OF_A_TEST" not in os.environ


@pytest.mark.parametrize(("rank", "first"), [(0, True), (1, False)])
def test_one_process_writes_for_all(monkeypatch: pytest.MonkeyPatch, rank: int, first: bool) -> None:
    monkeypatch.setattr(rank_zero_only, "rank", rank, raising=False)
    assert is_rank_zero() is first


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
        "import hashlib, signal, nave.processes.distributed as d\n"
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


SINFO = """debug* (null)
gpu gpu:a100:8(S:0-1)
long gpu:2,disk:1
"""


@pytest.mark.parametrize(
    ("accelerator", "partition", "gpus"),
    [
        ("auto", "gpu", 4),
        ("gpu", "debug,long", 4),
        ("auto", "debug", None),
        ("auto", None, None),
        ("cpu", "gpu", None),
    ],
)
def test_a_gpu_is_asked_for_where_the_partition_has_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, accelerator: str, partition: str | None, gpus: int | None
) -> None:
    """What SLURM 22.05 prints of three partitions, by a script in the place of sinfo."""
    _put_in_path(tmp_path, monkeypatch, SINFO)
    assert gpus_per_node(accelerator, 4, partition) == gpus


def test_the_default_partition_may_have_gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _put_in_path(tmp_path, monkeypatch, "debug* gpu:2\n")
    launcher = composed(
        *("config", "hydra/launcher=slurm", "trainer.devices=2", "hydra.launcher.account=me"), with_hydra=True
    ).hydra.launcher
    assert (launcher.gpus_per_node, launcher.tasks_per_node, launcher.account) == (2, 2, "me")


def _put_in_path(folder: Path, patch: pytest.MonkeyPatch, printed: str) -> None:
    script = folder / "sinfo"
    script.write_text(f"#!/bin/sh\ncat <<'END'\n{printed}END\n")
    script.chmod(0o755)
    patch.setenv("PATH", str(folder), prepend=os.pathsep)
