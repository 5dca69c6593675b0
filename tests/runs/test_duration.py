import logging
from pathlib import Path

import pytest
import torch

from nave.data.folder import Folder
from nave.runs import duration
from nave.runs.duration import announce_large_images, seconds_an_image
from tests.helpers.datasets import image_module, write_folder
from tests.helpers.parts import encoder

CPU = torch.device("cpu")


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    (tmp_path / "text.jpg").write_text("no image")
    return Folder(write_folder(tmp_path, {"a.png": (60, 80), "b.png": (30, 40)}))


def test_the_largest_image_is_announced_with_an_estimate_and_the_cure(
    folder: Folder, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(duration, "LARGE", 40 * 50)
    monkeypatch.setattr(duration, "seconds_an_image", lambda *_: 540.0)
    with caplog.at_level(logging.WARNING):
        announce_large_images(encoder("resnet_tiny"), image_module(folder), CPU)
        announce_large_images(encoder("resnet_tiny"), image_module(folder, longer_side=40), CPU)
    (line,) = caplog.messages
    assert line.startswith("a is explained at 80 x 60 pixels, about 9 minutes an image on cpu; longer_side=640 ")


@pytest.mark.parametrize(("power", "expected"), [(1, 48.0), (2, 48.0**2)])
def test_the_estimate_follows_what_grows_with_the_pixels_and_with_their_square(
    folder: Folder, monkeypatch: pytest.MonkeyPatch, power: int, expected: float
) -> None:
    def timed(_: object, batch: torch.Tensor, __: object) -> tuple[float, float]:
        pixels = batch.shape[2] * batch.shape[3]
        return float(pixels), (pixels / 100) ** power

    monkeypatch.setattr(duration, "_timed", timed)
    monkeypatch.setattr(duration, "TRIED", (20, 40))
    assert seconds_an_image(encoder("resnet_tiny"), image_module(folder), 0, CPU) == pytest.approx(expected)


def test_an_encoder_is_timed(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duration, "TRIED", (32, 64))
    assert 0 < seconds_an_image(encoder("resnet_tiny"), image_module(folder), 0, CPU) < 60
