from collections.abc import Sequence

import pytest

from nave.training.config import encoder_name


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


def test_a_long_name_is_cut_and_stays_unique() -> None:
    names = {encoder_name(None, "m", "d", "s", 0, [f"exclude=[{'x' * 200}{end}]"]) for end in "ab"}
    assert len(names) == 2
    assert max(map(len, names)) <= 150
