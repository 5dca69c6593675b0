"""Sweeps on a real SLURM: a grid, two tasks a job, a kill, a time-out, a failing job. Nothing is ever lost."""

import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.running import QUICK, into, record, results, voc

pytestmark = [
    pytest.mark.slow,
    pytest.mark.slurm,
    pytest.mark.skipif(
        shutil.which("sinfo") is None
        or subprocess.run(["sinfo", "-h", "-o", "%T"], capture_output=True, check=False).returncode != 0,
        reason="no SLURM is up",
    ),
]
SLURM = ["hydra/launcher=slurm", "hydra.launcher.cpus_per_task=1", "hydra.launcher.array_parallelism=2"]
SECONDS = 300


def nave(*arguments: str) -> subprocess.Popen[str]:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("SLURM_")}
    return subprocess.Popen(
        [sys.executable, "-m", *arguments],
        env=environment | {"OMP_NUM_THREADS": "1", "COLUMNS": "200"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def sweep(folder: Path, *overrides: str) -> subprocess.Popen[str]:
    return nave("nave.run", "-m", *SLURM, *QUICK, f'hydra.sweep.dir="{folder}"', *overrides)


def undisturbed(folder: Path, *overrides: str) -> dict[str, bytes]:
    done = nave("nave.run", *QUICK, into(folder), *overrides)
    out, _ = done.communicate(timeout=SECONDS)
    assert done.returncode == 0, out
    return results(folder)


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.2)


def job(folder: Path, k: int) -> Path:
    (found,) = folder.glob(f"*-k{k}-*")
    return found


def test_a_grid_of_two_by_three(tmp_path: Path) -> None:
    data = voc(tmp_path)
    done = sweep(tmp_path / "sweep", *data, "seed=0,1", "k=2,3,4")
    out, _ = done.communicate(timeout=SECONDS)
    assert done.returncode == 0, out
    summary = (tmp_path / "sweep" / "summary.csv").read_text().splitlines()
    assert len(summary) == 1 + 6
    assert all(",ok," in line for line in summary[1:])
    expected = undisturbed(tmp_path / "alone", *data, "seed=1", "k=3")
    (same,) = (path for path in (tmp_path / "sweep").glob("*-k3-*") if record(path)["config"]["seed"] == 1)
    assert results(same) == expected


def test_two_tasks_share_the_images_of_one_job(tmp_path: Path) -> None:
    data = voc(tmp_path, 13)
    two = ["trainer.devices=2", "trainer.strategy=ddp"]
    done = sweep(tmp_path / "sweep", *data, *two)
    out, _ = done.communicate(timeout=SECONDS)
    assert done.returncode == 0, out
    (found,) = (tmp_path / "sweep").glob("efficientnet*")
    assert record(found)["device"].startswith("2 x cpu")
    assert results(found) == undisturbed(tmp_path / "alone", *data)


def test_a_killed_job_is_told_and_finished_by_the_command_that_is_printed(tmp_path: Path) -> None:
    data, folder = voc(tmp_path, 400), tmp_path / "sweep"
    running = sweep(folder, *data, "k=2,3")
    part = lambda: next(iter(folder.glob("*-k2-*/parts/0.jsonl")), None)  # noqa: E731
    wait_for(lambda: (found := part()) is not None and len(found.read_text().splitlines()) >= 20)
    os.kill(record(job(folder, 2))["process"]["pid"], 9)
    out, _ = running.communicate(timeout=SECONDS)
    assert running.returncode == 1
    assert "killed" in out
    assert record(job(folder, 3))["status"] == "ok"
    finished = len((job(folder, 2) / "parts" / "0.jsonl").read_text().splitlines())
    assert 20 <= finished < 400
    told, _ = nave("nave.sweep", str(folder)).communicate(timeout=SECONDS)
    command = next(line for line in told.splitlines() if line.startswith("python -m nave.run model="))
    again = nave(*shlex.split(command)[2:])
    out, _ = again.communicate(timeout=SECONDS)
    assert again.returncode == 0, out
    assert "more are done" in out
    assert results(job(folder, 2)) == undisturbed(tmp_path / "alone", *data, "k=2")


def test_a_job_that_runs_out_of_time_queues_again_and_goes_on(tmp_path: Path) -> None:
    data, folder = voc(tmp_path, 2000), tmp_path / "sweep"
    short = ["hydra.launcher.timeout_min=1", "hydra.launcher.signal_delay_s=40"]
    done = sweep(folder, *short, *data)
    out, _ = done.communicate(timeout=2 * SECONDS)
    assert done.returncode == 0, out
    (found,) = folder.glob("efficientnet*")
    assert len(record(found)["attempts"]) > 1
    assert results(found) == undisturbed(tmp_path / "alone", *data)


def test_a_failing_job_leaves_the_good_ones_alone(tmp_path: Path) -> None:
    data, folder = voc(tmp_path), tmp_path / "sweep"
    done = sweep(folder, *data, "k=2,0,3")
    out, _ = done.communicate(timeout=SECONDS)
    assert done.returncode == 1
    assert "k=0: the number of clusters must be from 1 to 255" in out
    assert {k: record(job(folder, k))["status"] for k in (0, 2, 3)} == {0: "failed", 2: "ok", 3: "ok"}
    assert results(job(folder, 3)) == undisturbed(tmp_path / "alone", *data, "k=3")
