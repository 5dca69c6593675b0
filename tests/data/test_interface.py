"""The protocol that all data sets follow."""

import os
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from omegaconf import OmegaConf

from nave.config import CONF
from nave.data.interface import Dataset, GroundTruth, UnreadableImageError
from tests.helpers.datasets import (
    coco_tables,
    configured,
    write_chestxray14,
    write_coco,
    write_folder,
    write_stl10,
    write_voc,
)

TINY: dict[str, Callable[[Path], object]] = {
    "sample": lambda _: None,
    "shapes": lambda _: None,
    "folder": lambda root: write_folder(root, {"a.jpg": (5, 6), "b/c.png": (7, 8)}),
    "image_folder": lambda root: write_folder(root, {"cat/a.jpg": (5, 6), "dog/c.png": (7, 8)}),
    "voc07": lambda root: write_voc(root, 2007),
    "voc12": lambda root: write_voc(root, 2012),
    "coco": lambda root: write_coco(root, coco_tables({"a.jpg": (9, 9)}, [(10, "dog", (1, 1, 3, 3), 0)])),
    "stl10": write_stl10,
    "chestxray14": lambda root: write_chestxray14(root, {"1.png": "Mass"}, ["1.png,Mass,1,2,3,4"]),
}


def check(dataset: Dataset) -> None:
    again = pickle.loads(pickle.dumps(dataset))
    ids = [dataset.image_id(index) for index in range(len(dataset))]
    assert len(set(ids)) == len(ids) == len(again) > 0
    for index in range(min(len(dataset), 20)):
        image = again.image(index)
        height, width = dataset.size(index)
        assert (image.mode, image.size) == ("RGB", (width, height))
        truth = dataset.truth(index)
        if truth is not None:
            assert truth.boxes.dtype == np.float64
            assert (truth.boxes >= 0).all()
            assert (truth.boxes <= [width, height, width, height]).all()
            assert (truth.boxes[:, :2] < truth.boxes[:, 2:]).all()


@pytest.mark.parametrize("name", TINY)
def test_tiny(tmp_path: Path, name: str) -> None:
    TINY[name](tmp_path)
    dataset = configured(name, **({} if name in ("sample", "shapes") else {"root": tmp_path}))
    assert dataset.name == name
    check(dataset)


@pytest.mark.skipif("NAVE_DATA" not in os.environ, reason="needs the real samples")
@pytest.mark.parametrize("name", [name for name in (*TINY, "coco20k") if "folder" not in name])
def test_real(name: str) -> None:
    check(configured(name))


def test_every_file_of_the_group_is_tested() -> None:
    assert {path.stem for path in (CONF / "data").glob("*.yaml")} == {*TINY, "coco20k"}


@pytest.mark.parametrize("name", ["voc07", "voc12", "coco", "coco20k", "stl10", "chestxray14"])
def test_roots_come_from_the_environment(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    config = OmegaConf.load(CONF / "data" / f"{name}.yaml")
    monkeypatch.setenv("NAVE_DATA", "/somewhere")
    assert config.root == "/somewhere"
    monkeypatch.delenv("NAVE_DATA")
    assert config.root is None


def test_every_box_has_a_class_and_a_flag() -> None:
    with pytest.raises(ValueError, match="2 boxes, 1 classes, 2 hard flags"):
        GroundTruth(np.zeros((2, 4)), ("cat",), (False, False))


def test_unreadable_image_errors_can_be_pickled() -> None:
    error = pickle.loads(pickle.dumps(UnreadableImageError("trip/beach", "truncated")))
    assert (error.image_id, error.reason, str(error)) == ("trip/beach", "truncated", "trip/beach: truncated")
