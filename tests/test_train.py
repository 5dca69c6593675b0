"""``python -m nave.train``, end to end."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

from nave.runs.layout import RUN
from nave.training.training_module import TrainingModule
from nave.weights.wheels import tensors_sha256
from tests.helpers.datasets import write_stl10
from tests.helpers.parts import encoder as untrained_encoder
from tests.helpers.running import into, photographs
from tests.helpers.running import record as record_of
from tests.helpers.training import QUICK, card, nave_run, nave_train, stl10


def fail_at(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """Interrupts the training at one step."""
    training_step = TrainingModule.training_step

    def failing(self: TrainingModule, batch: Any, batch_idx: int) -> Any:
        if self.global_step == step:
            raise RuntimeError("interrupted")
        return training_step(self, batch, batch_idx)

    monkeypatch.setattr(TrainingModule, "training_step", failing)


def test_a_training_writes_an_encoder_its_card_and_its_record(tmp_path: Path) -> None:
    folder = tmp_path / "small"
    assert nave_train(*stl10(tmp_path), into(folder), "snapshots=[0,1]", "logger=[csv]") == 0
    made = card(folder)
    names = ("small", "resnet_tiny", "stl10", "supervised")
    assert (made["name"], made["model"], made["data"], made["scheme"]) == names
    assert (made["epochs"], made["images"], made["validation_images"]) == (2, 16, 4)
    assert made["classes"][0] == "airplane"
    assert made["metrics"].keys() == {"validation/accuracy", "validation/loss"}
    record = record_of(folder)
    assert record["status"] == "ok"
    assert record["card"] == made
    assert not (folder / "last.ckpt").exists()
    assert (folder / "csv" / "metrics.csv").is_file()
    tensors = safetensors.torch.load_file(tmp_path / "small.safetensors")
    assert tensors_sha256(tensors) == made["tensors_sha256"]
    assert {path.name for path in tmp_path.glob("*.safetensors")} == {
        "small.safetensors",
        "small-epoch0.safetensors",
        "small-epoch1.safetensors",
    }


@pytest.mark.parametrize("options", [(), ("ema=0.5", "optimizer=sgd", "augmentation=strong")])
def test_an_interrupted_training_ends_with_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...]
) -> None:
    overrides = [*stl10(tmp_path), "epochs=3", "+model.options.drop_rate=0.1", *options]
    assert nave_train(*overrides, into(tmp_path / "a" / "same")) == 0
    cut = tmp_path / "b" / "same"
    with monkeypatch.context() as patch:
        fail_at(patch, 3)  # in the middle of the second epoch of two steps
        assert nave_train(*overrides, into(cut)) == 1
    assert (cut / "last.ckpt").is_file()
    assert record_of(cut)["status"] == "failed"
    assert nave_train(*overrides, into(cut)) == 0
    assert len(record_of(cut)["attempts"]) == 2
    assert card(cut)["sha256"] == card(tmp_path / "a" / "same")["sha256"]


def test_a_finished_training_is_not_repeated(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    overrides = [*stl10(tmp_path), "epochs=1", into(tmp_path / "once")]
    assert nave_train(*overrides) == 0
    before = (tmp_path / "once" / RUN).read_bytes()
    capsys.readouterr()
    assert nave_train(*overrides) == 0
    assert "complete already" in capsys.readouterr().out
    assert (tmp_path / "once" / RUN).read_bytes() == before


def changed_label(root: Path) -> None:
    labels = root / "stl10_binary" / "train_y.bin"
    labels.write_bytes(bytes([labels.read_bytes()[0] % 10 + 1]) + labels.read_bytes()[1:])


def test_a_training_is_not_continued_on_other_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    overrides, finished, begun = stl10(tmp_path), into(tmp_path / "finished"), into(tmp_path / "begun")
    assert nave_train(*overrides, finished) == 0
    with monkeypatch.context() as patch:
        patch.setattr("nave.training.fit._metrics", lambda *_: 1 / 0)
        assert nave_train(*overrides, begun) == 1
    before = (tmp_path / "finished.safetensors").read_bytes()
    changed_label(tmp_path)
    for folder in (finished, begun):
        capsys.readouterr()
        assert nave_train(*overrides, folder) == 1
        assert "holds a training on other images (train_000000 has changed)" in capsys.readouterr().out
    assert record_of(tmp_path / "finished")["status"] == "ok"
    assert (tmp_path / "finished.safetensors").read_bytes() == before


def test_another_configuration_is_refused_in_its_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    overrides = [*stl10(tmp_path), "epochs=1", into(tmp_path / "one")]
    assert nave_train(*overrides) == 0
    assert nave_train(*overrides, "augmentation=none") == 1
    assert "augmentation" in capsys.readouterr().out


def test_an_encoder_is_explained_by_name_and_by_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert nave_train(*stl10(tmp_path), "epochs=1", "name=mine") == 0
    for number, training in enumerate(("mine", "outputs/encoders/mine.safetensors")):
        folder = tmp_path / str(number)
        assert nave_run(*photographs(tmp_path, 1), f"training={training}", into(folder)) == 0
        record = record_of(folder)
        assert (record["training"], record["weights"]) == ("mine", "trained mine.safetensors")
        assert record["weights_sha256"] == card(tmp_path / "outputs" / "encoders" / "mine")["sha256"]
    other = ("model=resnet18", "training=mine", into(tmp_path / "other"))
    assert nave_run(*photographs(tmp_path, 1), *other) == 1
    error = record_of(tmp_path / "other")["error"]
    assert "an encoder of model=resnet_tiny (test_resnet), not of model=resnet18 (resnet18)" in error


def test_random_weights_are_those_of_nave_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert nave_train("scheme=random", "seed=3", "epochs=0") == 0
    (path,) = (tmp_path / "outputs" / "encoders").glob("*.safetensors")
    assert path.name == "resnet_tiny-random-seed3.safetensors"
    network = untrained_encoder("resnet_tiny", seed=3).network
    torch.testing.assert_close(safetensors.torch.load_file(path), network.state_dict(), rtol=0, atol=0)


@pytest.mark.parametrize("data", ["stl10", "folder"])
def test_simclr_needs_no_labels_and_validates_its_own_loss(tmp_path: Path, data: str) -> None:
    pytest.importorskip("lightly")
    if data == "stl10":
        write_stl10(tmp_path, "unlabeled", 12)
        write_stl10(tmp_path, "test", 4)
        overrides = ["data=stl10", f"data.root={tmp_path}", "data.split=unlabeled"]
        overrides += ["validation={split:test}"]
    else:
        overrides = [*photographs(tmp_path, 12), "validation=0.3"]
    assert nave_train(*overrides, "scheme=simclr", "patience=5", "ema=0.9", into(tmp_path / "free")) == 0
    made = card(tmp_path / "free")
    assert (made["images"], made["validation_images"]) == ((12, 4) if data == "stl10" else (8, 4))
    assert made["classes"] is None
    assert made["metrics"]["validation/loss"] > 0


def test_unlabelled_images_need_no_other_file_to_be_validated(tmp_path: Path) -> None:
    pytest.importorskip("lightly")
    write_stl10(tmp_path, "unlabeled", 24)
    overrides = ["data=stl10", f"data.root={tmp_path}", "data.split=unlabeled", "scheme=simclr", "epochs=1"]
    assert nave_train(*overrides, into(tmp_path / "free")) == 0
    assert (card(tmp_path / "free")["images"], card(tmp_path / "free")["validation_images"]) == (22, 2)


def test_validation_images_that_are_missing_can_be_held_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert nave_train(*stl10(tmp_path)[:-1], into(tmp_path / "wrong")) == 1
    out = capsys.readouterr().out
    assert "test_X.bin not found" in out
    assert "Or hold out a share of the training images: validation=0.1" in out


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["exclude=[hose]"], "exclude=hose: data=stl10 has no such class; it has: airplane, bird"),
        (["exclude=[hose]"], "Did you mean horse?"),
        (["watermark=person"], "watermark=person: data=stl10 has no such class; it has: airplane, bird"),
        (["watermark=horse", "watermark_probability=2"], "watermark_probability=2.0: give a number from 0 to 1"),
        (["validation=1"], "validation=1: give a share from 0 to below 1"),
        (["loader.batch_size=1"], "batch_size=1: must be at least 2"),
        (["data=sample"], "data=sample has images of unknown class"),
        (["scheme=random", "epochs=2"], "scheme=random epochs=2: nothing is trained"),
        (["training=nothing"], "model=resnet_tiny has no training=nothing; it has default, random"),
        (["training=no.safetensors"], "there is no trained encoder"),
        (["snapshots=[0,3]"], "snapshots=[0, 3]: 3 is not from 0 to epochs=2"),
        (["snapshot_steps=[2,5]"], "snapshot_steps=[2, 5]: 5 is beyond the last step, 4; give numbers from 0 to 4"),
        (["snapshot_steps=[-1]"], "snapshot_steps=[-1]: -1 is below 0"),
        (["scheme=random", "epochs=0", "snapshot_steps=[1]"], "1 is beyond the last step, 0"),
        (["patience=2", "validation=0"], "patience=2 needs the validation loss"),
        (["data.root=nowhere"], "STL-10, train_X.bin not found; looked in"),
    ],
)
def test_a_wrong_configuration_is_an_error_of_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], overrides: list[str], message: str
) -> None:
    data = [] if "data=sample" in overrides else stl10(tmp_path)
    assert nave_train(*data, *overrides, into(tmp_path / "wrong")) == 1
    out = capsys.readouterr().out
    assert "error: " in out
    assert message in out
    assert record_of(tmp_path / "wrong")["status"] == "failed"
    assert not list(tmp_path.glob("wrong*.safetensors"))


@pytest.mark.slow
def test_a_killed_command_resumes_to_the_same_bytes(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "nave.train", *QUICK, *stl10(tmp_path), "epochs=30", "trainer.accelerator=cpu"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}

    def start(name: str) -> "subprocess.Popen[str]":
        return subprocess.Popen([*command, into(tmp_path / name / "same")], env=environment, cwd=tmp_path)

    assert start("a").wait() == 0
    killed, checkpoint = start("b"), tmp_path / "b" / "same" / "last.ckpt"
    while not checkpoint.exists():
        assert killed.poll() is None
        time.sleep(0.02)
    killed.send_signal(signal.SIGKILL)
    assert killed.wait() == -signal.SIGKILL
    assert record_of(tmp_path / "b" / "same")["status"] == "running"
    assert start("b").wait() == 0
    shas = [json.loads((tmp_path / name / "same.json").read_text())["sha256"] for name in "ab"]
    assert shas[0] == shas[1]


@pytest.mark.parametrize(
    ("snapshots", "message"), [("[]", "loss has become nan in epoch 1"), ("[1]", "weights have become infinite or NaN")]
)
def test_a_training_that_diverges_ends_before_anything_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], snapshots: str, message: str
) -> None:
    folder = tmp_path / "diverged"
    rate = ("optimizer=sgd", "optimizer.lr=1e30", "warmup=0")
    assert nave_train(*stl10(tmp_path), into(folder), *rate, "epochs=3", f"snapshots={snapshots}") == 1
    assert f"optimizer.lr=1e+30: the {message}; give a lower" in capsys.readouterr().out
    assert not list(tmp_path.glob("*.safetensors"))
    assert not (folder / "last.ckpt").exists()
