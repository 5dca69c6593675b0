"""Training schemes and data sets, end to end."""

import os
from pathlib import Path

import pytest
import safetensors.torch

from tests.helpers.datasets import Thing, write_chestxray14, write_folder, write_stl10, write_voc
from tests.helpers.running import into
from tests.helpers.training import card, nave_train, stl10

BOX = (5.0, 3.0, 20.0, 18.0)


def tensors_of(folder: Path) -> dict[str, list[float]]:
    tensors = safetensors.torch.load_file(folder.with_name(f"{folder.name}.safetensors"))
    return {name: tensor.flatten().tolist() for name, tensor in tensors.items()}


def test_simclr_needs_no_classes(tmp_path: Path) -> None:
    pytest.importorskip("lightly")
    write_stl10(tmp_path, "unlabeled", 16)
    unlabelled = ["data=stl10", f"data.root={tmp_path}", "data.split=unlabeled", "validation=0"]
    folder = tmp_path / "made"
    assert nave_train("scheme=simclr", "scheme.hidden=16", *unlabelled, "epochs=1", into(folder)) == 0
    assert (card(folder)["classes"], card(folder)["metrics"]) == (None, {})


def test_classes_do_not_influence_a_self_supervised_encoder(tmp_path: Path) -> None:
    pytest.importorskip("lightly")
    known = [*stl10(tmp_path), "scheme=simclr", "scheme.hidden=16", "epochs=1", "validation=0"]
    assert nave_train(*known, into(tmp_path / "known")) == 0
    assert card(tmp_path / "known")["metrics"].keys() == {"train/accuracy", "train/loss"}
    labels = tmp_path / "stl10_binary" / "train_y.bin"
    labels.write_bytes(labels.read_bytes()[::-1])
    assert nave_train(*known, into(tmp_path / "permuted")) == 0
    assert tensors_of(tmp_path / "known") == tensors_of(tmp_path / "permuted")


def test_images_may_show_several_classes(tmp_path: Path) -> None:
    shown = ["cat", "dog", "person"]
    things = {f"{number:06}": [Thing(shown[number % 3], BOX), Thing(shown[number % 2], BOX)] for number in range(12)}
    voc = ["data=voc07", f"data.root={write_voc(tmp_path, things=things)}", "validation=0.4", "image_size=32"]
    assert nave_train(*voc, "exclude=[person]", "epochs=1", into(tmp_path / "voc")) == 0
    made = card(tmp_path / "voc")
    assert (made["classes"], made["excluded"]) == (["cat", "dog"], ["person"])
    assert made["images"] + made["validation_images"] == 8
    assert made["metrics"].keys() == {"validation/map", "validation/auroc", "validation/loss"}


def test_radiographs_have_findings_or_none(tmp_path: Path) -> None:
    findings = {f"{number}.png": ("Mass|Edema", "No Finding", "Mass")[number % 3] for number in range(9)}
    chest = ["data=chestxray14", f"data.root={write_chestxray14(tmp_path, findings)}", "image_size=32"]
    assert nave_train(*chest, "data.split=all", "validation=0.3", "epochs=1", into(tmp_path / "chest")) == 0
    assert card(tmp_path / "chest")["classes"] == ["Edema", "Mass"]


def test_a_second_data_set_validates(tmp_path: Path) -> None:
    files = {f"{split}/{name}/{i}.png": (20, 30) for split in ("train", "val") for name in "ab" for i in range(4)}
    folder = ["data=image_folder", f"data.root={write_folder(tmp_path / 'images', files)}", "data.split=train"]
    assert nave_train(*folder, "validation={split:val}", "watermark=b", "epochs=1", into(tmp_path / "made")) == 0
    made = card(tmp_path / "made")
    assert (made["images"], made["validation_images"], made["classes"]) == (8, 8, ["a", "b"])
    assert made["watermark"] == {"class": "b", "probability": 1.0, "size": 0.25}


def test_early_stopping_ends_a_training(tmp_path: Path) -> None:
    overrides = [*stl10(tmp_path), "epochs=50", "patience=1", "optimizer=sgd", "optimizer.lr=0.2"]
    assert nave_train(*overrides, into(tmp_path / "stopped")) == 0
    assert card(tmp_path / "stopped")["epochs"] < 50


@pytest.mark.slow  # batch statistics need many steps to settle
def test_a_synthetic_stl10_is_memorised(tmp_path: Path) -> None:
    overrides = [*stl10(tmp_path, 10), "validation=0", "augmentation=none", "epochs=60", "optimizer.lr=3e-3"]
    assert nave_train(*overrides, into(tmp_path / "heart")) == 0
    assert card(tmp_path / "heart")["metrics"]["train/accuracy"] == 100


@pytest.mark.slow
@pytest.mark.skipif("NAVE_DATA" not in os.environ, reason="needs the real samples")
def test_the_labelled_images_of_stl10_are_memorised(tmp_path: Path) -> None:
    overrides = ["model=resnet18", "data=stl10", "data.split=test", "validation=0", "augmentation=none", "epochs=20"]
    assert nave_train(*overrides, "image_size=96", into(tmp_path / "heart")) == 0
    assert card(tmp_path / "heart")["metrics"]["train/accuracy"] == 100


def test_a_sweep_continues_after_a_failure_and_fails_in_the_end(tmp_path: Path) -> None:
    sweep = ["-m", *stl10(tmp_path), "epochs=1", f"outputs={tmp_path}/encoders", "exclude=[person],[]"]
    assert nave_train(*sweep) == 1
    assert [path.name for path in (tmp_path / "encoders").glob("*.safetensors")]
    assert nave_train(*sweep[:-1], "seed=0,1") == 0
    assert len(list((tmp_path / "encoders").glob("*.safetensors"))) == 3
