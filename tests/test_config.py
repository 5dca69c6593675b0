"""Names that configurations give, and what is checked before the work."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from nave.config import check, numbers_of_clusters
from nave.runs.folder_names import encoder_name, run_name
from tests.helpers.compositions import composed


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("objective=corlok", "objective=corlok: choose one of nave, corloc"),
        ("evaluation.iou=0", "evaluation.iou=0"),
        ("evaluation.iou=1.5", "evaluation.iou=1.5"),
        ("evaluation.groups=0", "evaluation.groups=0"),
        ("pack=-1", "pack=-1: give a whole number from 1 on, or null"),
        ("concepts=true", "concepts=True: give a whole number from 0 on, or auto"),
        ("loader.limit=2.5", r"loader\.limit=2\.5: give a whole number from 1 on, or null"),
        ("loader.batch_size=null", r"loader\.batch_size=null: give a whole number"),
        ("watermark_size=0", r"watermark_size=0\.0: give a number above 0 and up to 1"),
        ("longer_side=0", "longer_side=0: give a number of pixels"),
        ("image_size=[3]", r"image_size=\[3\]: give null"),
        ("cache_dtype=float8", "cache_dtype=float8: choose float32 or float16"),
        ("cache_dtype=float16", "give cache=FOLDER, or leave it"),
    ],
)
def test_what_would_fail_after_the_work_is_refused_before_it(override: str, message: str) -> None:
    check(composed("config"))
    with pytest.raises(ValueError, match=message):
        check(composed("config", override))


def test_a_cache_must_be_a_folder(tmp_path: Path) -> None:
    file = tmp_path / "cache"
    file.touch()
    with pytest.raises(ValueError, match="is a file"):
        check(composed("config", f"cache={file}"))


@pytest.mark.parametrize(
    ("k", "expected"), [(5, (5,)), ("auto", ("auto",)), ([3, 5], (3, 5)), (["auto", 2], ("auto", 2)), (255, (255,))]
)
def test_numbers_of_clusters(k: Any, expected: tuple[int | str, ...]) -> None:
    assert numbers_of_clusters(k) == expected


@pytest.mark.parametrize("k", [0, 256, -1, 2.5, "many", True, [], [3, 3], [3, 0], None])
def test_impossible_numbers_of_clusters_are_refused(k: Any) -> None:
    with pytest.raises(ValueError, match="k="):
        numbers_of_clusters(k)


@pytest.mark.parametrize(
    ("named", "overrides", "constant", "expected"),
    [
        (None, ["model=vits14", "k=5", "data=voc07", "layers=[-2,-1]"], ["data"], "vits14-k5-layers=_-2,-1_"),
        (None, ["training=dino", "seed=1", "skip_existing=true", "logger=wandb"], ["seed"], "dino"),
        (None, ["hydra/launcher=slurm", "seed=1"], ["hydra/launcher"], "seed=1"),
        (None, ["k=[3,5]", "model=vits14"], ["k", "model"], "vits14-dino-k3+5"),
        (None, [], [], "vits14-dino-k3+5"),
        ("one/a-teacher", ["weights='one/a.pth'", "weights_key=teacher", "training_name=x"], [], "one_a-teacher"),
        ("mine", ["weights=one/a.pth"], [], "mine-weights=one_a.pth"),
    ],
)
def test_a_jobs_folder_says_what_varies(
    named: str | None, overrides: list[str], constant: list[str], expected: str
) -> None:
    k = [3, 5] if "k=5" not in overrides else 5
    assert run_name("vits14", "dino", named, k, overrides, constant) == expected


def test_a_long_name_is_cut_and_stays_unique() -> None:
    names = {run_name("vits14", "default", None, 5, [f"data.root={'x' * 200}{end}"], []) for end in "ab"}
    assert len(names) == 2
    assert max(map(len, names)) <= 150


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        ([], "resnet18-stl10-supervised-seed0"),
        (["model=resnet18", "data.root=/data", "trainer.devices=2", "logger=[]"], "resnet18-stl10-supervised-seed0"),
        (["watermark=horse", "exclude=[dog,cat]"], "resnet18-stl10-supervised-exclude_dog+cat-watermark_horse-seed0"),
        (["validation={split:test}"], "resnet18-stl10-supervised-validation_split+test-seed0"),
        (["training=a/b.safetensors", "epochs=5"], "resnet18-stl10-supervised-epochs_5-training_b-seed0"),
        (
            ["optimizer.lr=0.1", "+model.options={a:1}"],
            "resnet18-stl10-supervised-model.options_a+1-optimizer.lr_0.1-seed0",
        ),
    ],
)
def test_a_name_says_what_was_chosen(overrides: Sequence[str], expected: str) -> None:
    assert encoder_name(None, "resnet18", "stl10", "supervised", 0, overrides) == expected


def test_untrained_weights_know_no_data() -> None:
    assert encoder_name(None, "resnet18", "stl10", "random", 2, ["seed=2", "epochs=0"]) == "resnet18-random-seed2"


def test_a_given_name_is_the_name() -> None:
    assert encoder_name("mine", "resnet18", "stl10", "supervised", 0, ["epochs=3"]) == "mine"


def test_a_long_name_of_an_encoder_is_cut_and_stays_unique() -> None:
    names = {encoder_name(None, "m", "d", "s", 0, [f"exclude=[{'x' * 200}{end}]"]) for end in "ab"}
    assert len(names) == 2
    assert max(map(len, names)) <= 150
