"""The ready foreground heads that come with the package."""

from pathlib import Path

import numpy as np
import pytest

import nave
from nave.localization import teaching
from nave.localization.foreground import Card, Head
from nave.localization.switch import READY, SOURCES
from nave.localization.teaching import ready
from nave.runs.head import given

HEADS = sorted(teaching.HEADS.glob("*.safetensors"))


@pytest.mark.parametrize("path", HEADS, ids=lambda path: path.stem)
def test_a_ready_head_is_found_by_its_encoder_and_no_image_is_in_two_folds(path: Path) -> None:
    head = Head.read(path)
    found = ready(head.card)
    assert found is not None
    assert found.sha256 == head.sha256
    images = [name for fold in head.card["images"] for name in fold]
    assert len(set(images)) == len(images) > 0
    assert len(head.weights) == len(head.card["images"])


def test_it_is_taken_by_auto_and_ready_alone() -> None:
    card = Head.read(HEADS[0]).card
    taken = [head and head.sha256 for head in (given(option, card) for option in SOURCES)]
    assert taken == [Head.read(HEADS[0]).sha256] * 2 + [None] * 2
    with pytest.raises(ValueError, match=f"foreground=ready: none is ready for {card['model']} at blocks.0; choose"):
        given(READY, Card(**{**card, "layer": "blocks.0"}))


def test_images_outside_a_run_take_it() -> None:
    image = np.zeros((32, 32, 3), np.uint8)
    (line,) = nave.load("efficientnet_lite0", device="cpu")(image, k=2).lines
    assert "foreground" in line
    with pytest.raises(ValueError, match="foreground=learn: only a run learns"):
        nave.load("efficientnet_lite0", device="cpu", foreground="learn")


def test_there_is_one_for_each_packaged_encoder() -> None:
    assert {Head.read(path).card["model"] for path in HEADS} == {"vits14", "efficientnet_lite0"}
