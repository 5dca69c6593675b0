"""Golden: torchvision's STL10 without its md5 check."""

import logging
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nave.data import stl10 as module
from nave.data.interface import MalformedDataError, MissingDatasetError
from nave.data.stl10 import CLASSES, STL10
from tests.helpers.datasets import configured, photograph, write_stl10


def stl10(root: Path | None, split: str = "test", **changes: Any) -> STL10:
    dataset: STL10 = configured("stl10", root=root, split=split, **changes)
    return dataset


def test_images_and_classes(tmp_path: Path) -> None:
    dataset = stl10(write_stl10(tmp_path, "train", 12), "train")
    assert (len(dataset), dataset.image_id(11), dataset.size(0), dataset.truth(0)) == (
        12,
        "train_000011",
        (96, 96),
        None,
    )
    assert np.array_equal(np.asarray(dataset.image(7)), np.asarray(photograph((96, 96), 7)))
    assert [dataset.labels(index) for index in (0, 9, 10)] == [("airplane",), ("truck",), ("airplane",)]


def test_unlabeled_knows_no_classes(tmp_path: Path) -> None:
    dataset = stl10(write_stl10(tmp_path, "unlabeled") / "stl10_binary", "unlabeled")
    assert (len(dataset), dataset.labels(0)) == (3, None)


def check_against_torchvision(root: Path, split: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from torchvision import datasets

    monkeypatch.setattr(datasets.STL10, "_check_integrity", lambda _: True)
    reference = datasets.STL10(str(root), split)
    dataset = stl10(root, split)
    assert len(dataset) == len(reference)
    for index in range(len(dataset)):
        image, label = reference[index]
        assert np.array_equal(np.asarray(dataset.image(index)), np.asarray(image))
        assert dataset.labels(index) == (None if label < 0 else (CLASSES[label],))


@pytest.mark.parametrize("split", ["test", "unlabeled"])
def test_as_torchvision_reads_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, split: str) -> None:
    check_against_torchvision(write_stl10(tmp_path, split, 11), split, monkeypatch)


@pytest.mark.skipif("NAVE_DATA" not in os.environ, reason="needs the real samples")
@pytest.mark.parametrize("split", ["test", "unlabeled"])
def test_real_images_as_torchvision_reads_them(monkeypatch: pytest.MonkeyPatch, split: str) -> None:
    check_against_torchvision(Path(os.environ["NAVE_DATA"]), split, monkeypatch)


def test_a_sample_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    write_stl10(tmp_path)
    assert len(stl10(tmp_path)) == 3
    assert "test_X.bin is a sample: 3 images, 8000 in STL-10" in caplog.text
    caplog.clear()
    monkeypatch.setitem(module._OFFICIAL, "test", 3)
    assert len(stl10(tmp_path)) == 3
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


@pytest.mark.parametrize("index", [3, 10**9])
def test_an_index_out_of_range(tmp_path: Path, index: int) -> None:
    with pytest.raises(IndexError):
        stl10(write_stl10(tmp_path)).image(index)


def test_missing(tmp_path: Path) -> None:
    with pytest.raises(MissingDatasetError, match=r"test_X\.bin not found; looked in (.|\n)*stl10_binary/test_X\.bin"):
        stl10(tmp_path)
    with pytest.raises(MissingDatasetError, match=r"neither data\.root nor"):
        stl10(None, download=True).prepare()
    with pytest.raises(ValueError, match="split=val: choose from train, test, unlabeled"):
        stl10(tmp_path, "val")
    write_stl10(tmp_path)
    (tmp_path / "stl10_binary" / "test_y.bin").unlink()
    with pytest.raises(MissingDatasetError, match=r"test_y\.bin not found"):
        stl10(tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("test_X.bin", bytes(27649), r"test_X\.bin: 27649 bytes are no whole number of 27648-byte images"),
        ("test_X.bin", b"", r"test_X\.bin: 0 bytes are no whole number"),
        ("test_y.bin", bytes([1, 2]), r"test_y\.bin: 2 classes for 3 images"),
        ("test_y.bin", bytes([1, 0, 11]), r"test_y\.bin: byte 1 is 0, classes are 1 to 10"),
    ],
)
def test_malformed_files(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    write_stl10(tmp_path)
    (tmp_path / "stl10_binary" / name).write_bytes(content)
    with pytest.raises(MalformedDataError, match=message):
        stl10(tmp_path)
