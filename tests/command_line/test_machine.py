"""What a machine lacks is said before anything is made; the machine is this one, or stands in for one with GPUs."""

import sys
from typing import get_args

import pytest
import torch
from lightning.fabric import connector
from lightning.pytorch.accelerators import AcceleratorRegistry
from lightning.pytorch.strategies import StrategyRegistry

from nave.command_line.machine import RARE, USUAL, check_devices, check_machine
from nave.command_line.overrides import check_overrides
from tests.helpers.compositions import composed

SEVERAL = ["3", "-1", "auto", "[0,1]", "'0,1'", "'2,'"]


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> int:
    """The machine has so many."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: request.param > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: request.param)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    return int(request.param)


def test_lightning_has_the_choices_that_are_listed() -> None:
    def listed(key: str) -> set[str]:
        return {*USUAL[key], *RARE[key]}

    known = [get_args(getattr(connector, name)) for name in ("_PRECISION_INPUT_STR", "_PRECISION_INPUT_STR_ALIAS")]
    assert listed("precision") == {*known[0], *known[1]}
    assert listed("accelerator") == {*AcceleratorRegistry.available_accelerators(), "auto", "gpu"}
    assert listed("strategy") <= {*StrategyRegistry.available_strategies(), "auto"}


@pytest.mark.parametrize("devices", SEVERAL)
def test_devices_are_what_lightning_takes(devices: str) -> None:
    check_devices(composed("config", f"trainer.devices={devices}"))


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("trainer.precision=16mixed", r"choose one of 32-true, .*Did you mean trainer\.precision=16-mixed\?"),
        ("trainer.strategy=dpd", r"trainer\.strategy=dpd: choose one of auto, ddp, .*Did you mean"),
        ("trainer.accelerator=gpus", r"choose one of auto, cpu, gpu, .*Did you mean trainer\.accelerator=gpu\?"),
    ],
)
def test_what_lightning_does_not_know_is_refused_without_it(override: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_devices(composed("config", override))


@pytest.mark.parametrize(
    ("gpus", "overrides", "message"),
    [
        (0, ["accelerator=gpu"], r"accelerator=gpu: PyTorch finds no GPU here; choose cpu, or auto"),
        (1, ["accelerator=mps"], r"accelerator=mps: PyTorch finds no GPU here"),
        (0, ["devices=-1"], r"devices=-1: there is no GPU to choose from"),
        (2, ["devices=[0,1]", "accelerator=cpu"], r"devices=\[0, 1\]: there is no GPU to choose from"),
        (2, ["devices=3"], r"devices=3: there are 2 GPUs, 0 to 1; choose of those, or auto"),
        (1, ["devices='1,'"], r"devices=1,: there is one GPU, 0; choose"),
        (0, ["precision=16-mixed"], r"precision=16-mixed: not on a CPU; choose bf16-mixed or 32-true"),
        (0, ["strategy=fsdp"], r"trainer\.strategy=fsdp: .*requires a GPU"),
    ],
    indirect=["gpus"],
)
def test_what_the_machine_lacks_is_refused(gpus: int, overrides: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_machine(composed("config", *(f"trainer.{override}" for override in overrides)))


@pytest.mark.parametrize(
    ("gpus", "overrides"),
    [(0, []), (0, ["devices=3"]), (4, ["devices=-1"]), (4, ["devices=[0,3]"]), (2, ["devices=2", "accelerator=gpu"])],
    indirect=["gpus"],
)
def test_what_it_has_is_let_through(gpus: int, overrides: list[str]) -> None:
    check_machine(composed("config", *(f"trainer.{override}" for override in overrides)))


@pytest.mark.parametrize("gpus", [2], indirect=True)
def test_jobs_that_take_turns_on_the_gpus_are_let_through(gpus: int) -> None:
    check_overrides("config", ["seed=0,1", "trainer.devices=[${round_robin:2}]"])


@pytest.mark.parametrize("gpus", [0, 1], indirect=True)
def test_cuml_needs_a_gpu_and_the_package(gpus: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cuml.cluster", None)
    reason = "needs RAPIDS cuML" if gpus else "needs the data on a CUDA device, not on cpu"
    with pytest.raises(ValueError, match=rf"clustering=cuml {reason}.* or choose clustering=factored"):
        check_machine(composed("config", "clustering=cuml"))
