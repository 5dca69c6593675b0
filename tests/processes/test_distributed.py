"""Nothing of one job's processes reaches the next job."""

import os
import sys
from pathlib import Path

import pytest
from hydra.core.hydra_config import HydraConfig
from lightning.fabric.utilities.rank_zero import rank_zero_only

from nave.processes.distributed import gpus_per_node, is_rank_zero, single_job
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
