"""Snapshots of a training by epochs and by optimiser steps, end to end."""

from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from lightning import Trainer
from torch import Tensor

from nave.training.training_module import TrainingModule
from tests.helpers.running import into
from tests.helpers.training import card, nave_train, stl10

STEPS = 2  # of an epoch: 16 of 20 images, 8 a step


def network(folder: Path, suffix: str = "") -> dict[str, Tensor]:
    return safetensors.torch.load_file(folder.with_name(f"{folder.name}{suffix}.safetensors"))


def same(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def written(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.parent.glob(f"{folder.name}*") if path.is_file()}


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> dict[int, dict[str, Tensor]]:
    """The weights to validate after every step, noted where Lightning is done with the step."""
    noted: dict[int, dict[str, Tensor]] = {}
    batch_end = TrainingModule.on_train_batch_end

    def noting(self: TrainingModule, outputs: Any, batch: Any, batch_idx: int) -> None:
        batch_end(self, outputs, batch, batch_idx)
        noted.setdefault(self.global_step, {name: tensor.clone() for name, tensor in self.result.state_dict().items()})

    monkeypatch.setattr(TrainingModule, "on_train_batch_end", noting)
    return noted


def test_a_step_is_kept_as_it_would_be_validated(tmp_path: Path, seen: dict[int, dict[str, Tensor]]) -> None:
    folder, overrides = tmp_path / "kept", [*stl10(tmp_path), "epochs=3", "ema=0.5"]
    asked = ("snapshots=[0,1]", "snapshot_steps=[0,1,2,3,6]")
    assert nave_train(*overrides, *asked, into(folder)) == 0
    for step in (1, 2, 3, 6):
        assert same(network(folder, f"-step{step}"), seen[step])
    assert not same(seen[2], seen[3])
    assert same(network(folder, "-step0"), network(folder, "-epoch0"))
    assert same(network(folder, "-step2"), network(folder, "-epoch1"))
    assert same(network(folder, "-step6"), network(folder))
    moments = {suffix: card(tmp_path / f"kept{suffix}") for suffix in ("-step0", "-step1", "-step2", "-step3", "")}
    done = {suffix: (made["epochs"], made["steps"]) for suffix, made in moments.items()}
    assert done == {"-step0": (0, 0), "-step1": (0, 1), "-step2": (1, 2), "-step3": (1, 3), "": (3, 6)}
    assert nave_train(*overrides, into(tmp_path / "plain" / "kept")) == 0
    plain = (tmp_path / "plain" / "kept.safetensors").read_bytes()
    assert (tmp_path / "kept.safetensors").read_bytes() == plain  # snapshots do not touch the training


def test_a_step_of_several_batches_is_kept_once(tmp_path: Path, seen: dict[int, dict[str, Tensor]]) -> None:
    several = ("trainer.accumulate_grad_batches=2", "loader.batch_size=4", "epochs=1")
    assert nave_train(*stl10(tmp_path), *several, "snapshot_steps=[1]", into(tmp_path / "kept")) == 0
    assert same(network(tmp_path / "kept", "-step1"), seen[1])


@pytest.mark.slow
@pytest.mark.parametrize("cut", [3, 5])  # within the second epoch and the third
def test_an_interrupted_training_has_the_same_snapshots(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cut: int
) -> None:
    overrides = [*stl10(tmp_path), "epochs=3", "ema=0.5", "snapshots=[0,2]", "snapshot_steps=[1,2,3,4,5]"]
    assert nave_train(*overrides, into(tmp_path / "a" / "same")) == 0
    training_step = TrainingModule.training_step

    def failing(self: TrainingModule, batch: Any, batch_idx: int) -> Tensor:
        if self.global_step == cut:
            raise RuntimeError("interrupted")
        return training_step(self, batch, batch_idx)

    with monkeypatch.context() as patch:
        patch.setattr(TrainingModule, "training_step", failing)
        assert nave_train(*overrides, into(tmp_path / "b" / "same")) == 1
    begun = written(tmp_path / "b" / "same")
    assert f"same-step{cut}.safetensors" in begun  # kept again after the resume
    assert nave_train(*overrides, into(tmp_path / "b" / "same")) == 0
    found = written(tmp_path / "b" / "same")
    assert found == written(tmp_path / "a" / "same")
    assert begun.items() <= found.items()


def test_what_is_not_trained_has_a_snapshot_of_its_beginning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    untrained = ("scheme=random", "epochs=0", "snapshots=[0]", "snapshot_steps=[0]", into(tmp_path / "raw"))
    assert nave_train(*untrained) == 0
    assert same(network(tmp_path / "raw", "-epoch0"), network(tmp_path / "raw"))
    assert same(network(tmp_path / "raw", "-step0"), network(tmp_path / "raw"))
    assert nave_train(*untrained) == 0
    assert "complete already" in capsys.readouterr().out


def test_a_training_that_stops_early_has_the_snapshots_that_it_reached(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stop(self: TrainingModule) -> None:
        trainer: Trainer = self.trainer
        trainer.should_stop = True

    monkeypatch.setattr(TrainingModule, "on_validation_epoch_end", stop)
    overrides = [*stl10(tmp_path), "epochs=9", "snapshots=[1,5]", "snapshot_steps=[1,5]", into(tmp_path / "short")]
    assert nave_train(*overrides) == 0
    assert {path.name for path in tmp_path.glob("short-*.safetensors")} == {
        "short-epoch1.safetensors",
        "short-step1.safetensors",
    }
    assert nave_train(*overrides) == 0
    assert "complete already" in capsys.readouterr().out
