import hashlib
import os
from pathlib import Path

import pytest

from nave.data import coco20k as module
from nave.data.coco import Coco
from nave.data.coco20k import coco20k
from nave.data.errors import MalformedData, MissingDataset
from nave.data.module import ImageModule
from tests.data.writers import coco_tables, write_coco, write_text


def test_another_list_than_the_official_one(tmp_path: Path) -> None:
    write_coco(tmp_path, coco_tables({"a.jpg": (5, 5)}, []), "train2014")
    write_text(tmp_path / "coco" / "coco_20k_filenames.txt", "train2014/a.jpg\n")
    with pytest.raises(MalformedData, match=r"coco_20k_filenames\.txt: sha256 is .* official list 74637e9b"):
        coco20k(tmp_path)


def test_missing(tmp_path: Path) -> None:
    with pytest.raises(
        MissingDataset, match=r"coco20k not found(.|\n)*coco_20k_filenames\.txt(.|\n)*data\.download=true"
    ):
        coco20k(tmp_path)
    with pytest.raises(MissingDataset, match=r"neither data\.root nor"):
        coco20k(None, download=True).prepare()


def test_the_list_picks_images_of_train2014(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = write_text(tmp_path / "mine.txt", "train2014/b.jpg\n")
    boxes = [(11, "dog", (1, 1, 2, 2), 0)]
    write_coco(tmp_path, coco_tables({"a.jpg": (5, 5), "b.jpg": (6, 7)}, boxes), "train2014")
    monkeypatch.setattr(module, "_LIST_SHA256", hashlib.sha256(names.read_bytes()).hexdigest())
    found = coco20k(tmp_path, file_list=names)
    assert (found.name, len(found), found.image_id(0), found.labels(0)) == ("coco20k", 1, "b", ("dog",))


@pytest.mark.skipif("NAVE_DATA" not in os.environ, reason="needs the real samples")
def test_real_list_and_sample(caplog: pytest.LogCaptureFixture) -> None:
    found = coco20k(os.environ["NAVE_DATA"])
    assert "of its 19817 images" in caplog.text or len(found) == 19817
    assert all(found.image_id(index).startswith("COCO_train2014_") for index in range(len(found)))


@pytest.mark.slow
def test_full_size_each_image_once(tmp_path: Path) -> None:
    images = {f"COCO_train2014_{number:012d}.jpg": (8 + number % 3, 8) for number in range(19_817)}
    boxes = [(10 + number // 7 % 19_817, "dog", (1, 1, 3, 3), 0) for number in range(140_000)]
    coco = Coco(write_coco(tmp_path, coco_tables(images, boxes), "train2014"), "train2014")
    batches = ImageModule(coco, batch_size=64).predict_dataloader()
    indices = [index for batch in batches for index in batch.indices]
    assert sorted(indices) == list(range(19_817))
    assert sum(len(coco.truth(index).boxes) for index in indices) == 140_000
