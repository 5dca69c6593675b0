"""Sweeps on a real SLURM: a grid, two tasks a job, a kill, a time-out, a failing job. Nothing is ever lost.

The sweeps are launched, and the undisturbed runs computed, in the test's own process: every further one would spend
ten seconds on imports.
"""

import os
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from nave.sweep import main
from tests.helpers.running import into, nave_run, nave_sweep, one_thread, record, results, voc

pytestmark = [pytest.mark.slow, pytest.mark.slurm]
SLURM = ["hydra/launcher=slurm", "hydra.launcher.cpus_per_task=1", "hydra.launcher.array_parallelism=2"]
SECONDS = 300


@pytest.fixture(autouse=True, scope="module")
def slurm() -> None:
    if shutil.which("sinfo") is None or subprocess.run(["sinfo"], capture_output=True, check=False).returncode != 0:
        pytest.skip("no SLURM is up")


@pytest.fixture(autouse=True)
def same_threads(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # the jobs inherit it
    with one_thread():
        yield


class Withheld:
    """The annotation of one image, which whoever reads it waits for until it is handed out."""

    def __init__(self, root: Path, image_id: str) -> None:
        self.path = root / "VOCdevkit" / "VOC2007" / "Annotations" / f"{image_id}.xml"
        self.content = self.path.read_bytes()
        self.path.unlink()
        os.mkfifo(self.path)

    def hand_out(self) -> None:
        """To those that wait, and to all that come."""
        fifo, whole = self.path.with_suffix(".fifo"), self.path.with_suffix(".whole")
        os.link(self.path, fifo)
        whole.write_bytes(self.content)
        whole.replace(self.path)
        try:
            descriptor = os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:  # nobody waits
            return
        os.write(descriptor, self.content)
        os.close(descriptor)


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.2)


def sweep_meanwhile(meanwhile: Callable[[], None], folder: Path, *overrides: str) -> int:
    """The sweep's exit code; what goes on beside it must end well."""
    with ThreadPoolExecutor(1) as pool:
        beside = pool.submit(meanwhile)
        code = nave_sweep(folder, *SLURM, *overrides)
        beside.result()
    return code


def undisturbed(folder: Path, *overrides: str) -> dict[str, bytes]:
    assert nave_run(into(folder), *overrides) == 0
    return results(folder)


def jobs(folder: Path) -> list[Path]:
    return [found.parent for found in folder.glob("*/run.json")]


def job(folder: Path, k: int) -> Path:
    (found,) = [found for found in jobs(folder) if record(found)["config"]["k"] in (k, [k])]
    return found


def noted(folder: Path) -> int:
    """Images that the only process of the job with K = 2 has finished."""
    parts = [
        part.read_text().count("\n") for part in folder.glob("*/parts/0.jsonl") if part.parents[1] == job(folder, 2)
    ]
    return sum(parts)


def starts_now(slurm_job: str) -> bool:
    """Whether the job waited in the queue, and need not any more."""
    waiting = subprocess.run(
        ["squeue", "-h", "-t", "PENDING", "-j", slurm_job], capture_output=True, text=True, check=False
    )
    update = ["scontrol", "update", f"JobId={slurm_job}", "StartTime=now"]
    return bool(waiting.stdout.strip()) and subprocess.run(update, capture_output=True, check=False).returncode == 0


def attempts(folder: Path) -> int:
    return len(record(job(folder, 2))["attempts"])


def test_a_grid_of_two_by_three(tmp_path: Path) -> None:
    data, folder = voc(tmp_path), tmp_path / "sweep"
    assert nave_sweep(folder, *SLURM, *data, "seed=0,1", "k=[2],[3],[4]") == 0
    summary = (folder / "summary.csv").read_text().splitlines()
    assert len(summary) == 1 + 6
    assert all(",ok," in line for line in summary[1:])
    assert len(jobs(folder)) == 6
    for found in jobs(folder):
        settings = [f"{key}={record(found)['config'][key]}" for key in ("k", "seed")]
        assert results(found) == undisturbed(tmp_path / "alone" / found.name, *data, *settings)


def test_two_tasks_share_the_images_of_one_job(tmp_path: Path) -> None:
    data, folder = voc(tmp_path, 13), tmp_path / "sweep"
    assert nave_sweep(folder, *SLURM, *data, "trainer.devices=2", "trainer.strategy=ddp") == 0
    (found,) = jobs(folder)
    assert record(found)["device"].startswith("2 x cpu")
    assert results(found) == undisturbed(tmp_path / "alone", *data)


def test_a_killed_job_is_told_and_finished_by_the_command_that_is_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, folder = voc(tmp_path, 5), tmp_path / "sweep"
    withheld = Withheld(tmp_path, "000003")

    def kill() -> None:
        wait_for(lambda: noted(folder) == 3)
        os.kill(record(job(folder, 2))["process"]["pid"], signal.SIGKILL)
        withheld.hand_out()

    assert sweep_meanwhile(kill, folder, *data, "k=[2],[3]") == 1
    assert "killed" in capsys.readouterr().out
    assert (record(job(folder, 2))["status"], record(job(folder, 3))["status"]) == ("running", "ok")
    assert noted(folder) == 3
    assert main([str(folder)]) == 1
    command = shlex.split(capsys.readouterr().out.splitlines()[-1])
    assert nave_run(*command[3:]) == 0
    assert "2 images of voc07 (3 more are done)" in (job(folder, 2) / "run.log").read_text()
    for k in (2, 3):
        assert results(job(folder, k)) == undisturbed(tmp_path / f"alone{k}", *data, f"k={k}")


def test_a_job_that_runs_out_of_time_queues_again_and_goes_on(tmp_path: Path) -> None:
    """SLURM looks every half minute whose time will soon be over, and lets what it queues again wait two minutes."""
    data, folder = voc(tmp_path, 5), tmp_path / "sweep"
    withheld = Withheld(tmp_path, "000003")

    def wait() -> None:
        wait_for(lambda: noted(folder) == 3)
        wait_for(lambda: record(job(folder, 2))["status"] == "interrupted")
        withheld.hand_out()
        wait_for(lambda: starts_now(record(job(folder, 2))["process"]["slurm_job"]) or attempts(folder) == 2)

    short = ["hydra.launcher.timeout_min=1", "hydra.launcher.signal_delay_s=5"]
    assert sweep_meanwhile(wait, folder, *short, *data) == 0
    assert attempts(folder) == 2
    assert results(job(folder, 2)) == undisturbed(tmp_path / "alone", *data)


def test_a_failing_job_leaves_the_good_ones_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, folder = voc(tmp_path), tmp_path / "sweep"
    assert nave_sweep(folder, *SLURM, *data, "k=2,0,3") == 1
    assert "k=0: the number of clusters must be from 1 to 255" in capsys.readouterr().out
    assert {k: record(job(folder, k))["status"] for k in (0, 2, 3)} == {0: "failed", 2: "ok", 3: "ok"}
    for k in (2, 3):
        assert results(job(folder, k)) == undisturbed(tmp_path / f"alone{k}", *data, f"k={k}")
