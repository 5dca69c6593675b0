"""The ready foreground heads that come with the package."""

from pathlib import Path

import pytest

from nave.localization.foreground import Head
from nave.localization.teaching import READY, ready

HEADS = sorted(READY.glob("*.safetensors"))


@pytest.mark.parametrize("path", HEADS, ids=lambda path: path.stem)
def test_a_ready_head_is_found_by_its_encoder_and_no_image_is_in_two_folds(path: Path) -> None:
    head = Head.read(path)
    found = ready(head.card)
    assert found is not None
    assert found.sha256 == head.sha256
    images = [name for fold in head.card["images"] for name in fold]
    assert len(set(images)) == len(images) > 0
    assert len(head.weights) == len(head.card["images"])


def test_there_is_one_for_each_packaged_encoder() -> None:
    assert {Head.read(path).card["model"] for path in HEADS} == {"vits14", "efficientnet_lite0"}
