import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from lightning import LightningModule, Trainer
from omegaconf import OmegaConf
from PIL import Image

from nave.data.batch import Batch, load_batch
from nave.data.datamodule import ImageModule, batches, shard
from nave.data.folder import Folder
from nave.data.input_size import InputSize
from nave.data.interface import MalformedDataError
from tests.helpers.datasets import (
    configured,
    image_module,
    write_chestxray14,
    write_folder,
    write_photograph,
    write_text,
    write_voc,
)

SIZES = {"a.png": (20, 30), "b.png": (30, 20), "c.png": (20, 30), "d.png": (30, 20), "e.png": (20, 30)}


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(write_folder(tmp_path, SIZES))


def ids(module: ImageModule) -> list[list[str]]:
    return [batch.image_ids for batch in module.predict_dataloader()]


def test_images_are_batched_by_size(folder: Folder) -> None:
    loaded = list(image_module(folder, batch_size=2).predict_dataloader())
    assert [batch.image_ids for batch in loaded] == [["a", "c"], ["b", "d"], ["e"]]
    assert [batch.indices for batch in loaded] == [[0, 2], [1, 3], [4]]
    assert [tuple(batch.images.shape) for batch in loaded] == [(2, 3, 20, 30), (2, 3, 30, 20), (1, 3, 20, 30)]
    assert loaded[1].sizes == [(30, 20), (30, 20)]
    assert np.array_equal(loaded[0].images[1].permute(1, 2, 0), np.asarray(folder.image(2)))


def test_a_longer_side_is_capped_and_the_own_size_is_known(folder: Folder) -> None:
    loaded = list(image_module(folder, batch_size=3, longer_side=24).predict_dataloader())
    assert [tuple(batch.images.shape) for batch in loaded] == [(3, 3, 16, 24), (2, 3, 24, 16)]
    assert loaded[0].sizes == [(20, 30)] * 3


def test_images_of_different_sizes_share_a_batch_where_they_are_capped_alike(tmp_path: Path) -> None:
    folder = Folder(write_folder(tmp_path, {"a.png": (30, 40), "b.png": (60, 80), "c.png": (15, 20)}))
    loaded = list(image_module(folder, batch_size=2, longer_side=20).predict_dataloader())
    assert [batch.image_ids for batch in loaded] == [["a", "b"], ["c"]]
    assert [batch.sizes for batch in loaded] == [[(30, 40), (60, 80)], [(15, 20)]]


def test_one_image_a_batch_reads_no_header(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Folder, "size", lambda *_: pytest.fail("read a header"))
    assert ids(image_module(folder)) == [["a"], ["b"], ["c"], ["d"], ["e"]]


def test_batches_on_a_gpu_have_as_many_images_as_their_size_allows(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ImageModule, "_on_gpu", True)
    monkeypatch.setattr("nave.data.datamodule.PIXELS", 1300)
    monkeypatch.setattr("nave.data.datamodule.MANY", 2)  # headers are read by other processes
    module = image_module(folder)
    assert module._batches() == [[0, 2], [1, 3], [4]]
    assert image_module(folder, image_size=16)._batches() == [[0, 1, 2, 3, 4]]
    assert image_module(folder, image_size=40)._batches() == [[0], [1], [2], [3], [4]]


@pytest.mark.parametrize("image_size", [8, [8, 8], OmegaConf.create([8, 8])])
def test_image_size_resizes_and_keeps_the_original_size(folder: Folder, image_size: Any) -> None:
    loaded = list(image_module(folder, image_size=image_size, batch_size=4).predict_dataloader())
    assert [tuple(batch.images.shape) for batch in loaded] == [(4, 3, 8, 8), (1, 3, 8, 8)]
    assert loaded[0].sizes == list(SIZES.values())[:4]


@pytest.mark.parametrize("size", [(11, 9), (7, 40), (64, 33)])
def test_resizing_is_pillows_antialiased_bilinear(folder: Folder, size: tuple[int, int]) -> None:
    resized = folder.image(0).resize((size[1], size[0]), Image.Resampling.BILINEAR)
    (image,) = load_batch(folder, [0], InputSize(size)).images
    difference = image.permute(1, 2, 0).numpy().astype(int) - np.asarray(resized).astype(int)
    assert np.abs(difference).max() <= 1


def test_limit_and_skip(folder: Folder) -> None:
    assert ids(image_module(folder, limit=3)) == [["a"], ["b"], ["c"]]
    assert ids(image_module(folder, limit=9, skip=[1, 4, 99])) == [["a"], ["c"], ["d"]]
    assert ids(image_module(folder, skip=range(len(SIZES)))) == []


@pytest.mark.parametrize("world_size", [1, 2, 3, 8])
def test_ranks_share_the_images(folder: Folder, monkeypatch: pytest.MonkeyPatch, world_size: int) -> None:
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda: world_size)
    seen: list[str] = []
    for rank in range(world_size):
        monkeypatch.setattr(torch.distributed, "get_rank", lambda rank=rank: rank)
        seen += [image_id for batch in ids(image_module(folder, batch_size=2)) for image_id in batch]
    assert sorted(seen) == ["a", "b", "c", "d", "e"]


@pytest.mark.parametrize("batch_size", [1, 3])
def test_unreadable_images_are_skipped_and_reported(tmp_path: Path, batch_size: int) -> None:
    write_folder(tmp_path, {"a.png": (20, 30), "cut.png": (20, 30), "z.png": (20, 30)})
    (tmp_path / "cut.png").write_bytes((tmp_path / "cut.png").read_bytes()[:-500])
    write_text(tmp_path / "words.jpg", "no image")
    loaded = list(image_module(Folder(tmp_path), batch_size=batch_size).predict_dataloader())
    unreadable = [entry for batch in loaded for entry in batch.unreadable]
    assert [(index, image_id) for index, image_id, _ in unreadable] == [(1, "cut"), (2, "words")]
    assert "truncated" in unreadable[0][2]
    assert [image_id for batch in loaded for image_id in batch.image_ids] == ["a", "z"]
    assert tuple(loaded[-1].images.shape) in {(0, 3, 0, 0), (1, 3, 20, 30)}


def test_a_batch_without_readable_images(tmp_path: Path) -> None:
    write_text(tmp_path / "words.jpg", "no image")
    batch = load_batch(Folder(tmp_path), [0])
    assert (batch.images.shape, batch.images.dtype) == ((0, 3, 0, 0), torch.uint8)
    assert batch.image_ids == batch.truths == batch.sizes == batch.indices == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "batch_size=0: give a whole number from 1 on, or auto"),
        ({"limit": 0}, "limit=0: give a whole number from 1 on, or null"),
        ({"image_size": 0}, "image_size=0: give null"),
        ({"image_size": [1, 2, 3]}, r"image_size=\[1, 2, 3\]: give null"),
    ],
)
def test_impossible_options(folder: Folder, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        image_module(folder, **options)


def test_a_batch_moves_with_its_images(folder: Folder) -> None:
    batch = load_batch(folder, [0, 2])
    moved = batch.to("meta", non_blocking=True)
    assert (moved.images.device.type, moved.image_ids) == ("meta", ["a", "c"])


def test_prepare_data_prepares_the_data_set(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[bool] = []
    image_module(folder).prepare_data()
    monkeypatch.setattr(Folder, "prepare", lambda _: calls.append(True), raising=False)
    image_module(folder).prepare_data()
    assert calls == [True]


class Recorder(LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Sequence[str]] = []

    def predict_step(self, batch: Batch) -> torch.Tensor:
        self.seen.append(batch.image_ids)
        return torch.zeros(())


@pytest.mark.filterwarnings("ignore:.*LeafSpec", "ignore:.*num_workers", "ignore:.*does not have many workers")
@pytest.mark.parametrize("num_workers", [0, 1])
def test_lightning_predicts_batch_by_batch(folder: Folder, tmp_path: Path, num_workers: int) -> None:
    recorder = Recorder()
    trainer = Trainer(
        accelerator="cpu",
        devices=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        default_root_dir=tmp_path,
    )
    module = image_module(folder, batch_size=2, num_workers=num_workers)
    trainer.predict(recorder, datamodule=module, return_predictions=False)
    assert recorder.seen == [["a", "c"], ["b", "d"], ["e"]]


TWO_PROCESSES = """
import sys
from pathlib import Path
from lightning import LightningModule, Trainer
from nave.data.folder import Folder
from nave.data.input_size import InputSize
from tests.helpers.datasets import image_module

class Recorder(LightningModule):
    def predict_step(self, batch):
        for image_id in batch.image_ids:
            (Path(sys.argv[2]) / f"{image_id}.{self.global_rank}").touch()

if __name__ == "__main__":
    trainer = Trainer(accelerator="cpu", devices=2, strategy="ddp", logger=False, enable_checkpointing=False,
                      enable_progress_bar=False, use_distributed_sampler=False)
    module = image_module(Folder(sys.argv[1]), batch_size=2)
    trainer.predict(Recorder(), datamodule=module, return_predictions=False)
"""


@pytest.mark.slow
def test_two_lightning_processes_see_each_image_once(folder: Folder, tmp_path: Path) -> None:
    script = write_text(tmp_path / "predict.py", TWO_PROCESSES)
    seen = tmp_path / "seen"
    seen.mkdir()
    subprocess.run([sys.executable, str(script), str(tmp_path), str(seen)], check=True, capture_output=True)
    assert sorted(path.name for path in seen.iterdir()) == ["a.0", "b.1", "c.0", "d.1", "e.0"]


Sizes = st.lists(st.sampled_from([(1, 2), (2, 1), (3, 3), None]), max_size=40)


@given(keys=Sizes, batch_size=st.integers(1, 9), world_size=st.integers(1, 7), data=st.data())
def test_every_index_once_over_any_world_batch_and_skip(
    keys: Sequence[tuple[int, int] | None], batch_size: int, world_size: int, data: st.DataObject
) -> None:
    skip = data.draw(st.sets(st.sampled_from(range(len(keys) or 1))))
    indices = [index for index in range(len(keys)) if index not in skip]
    all_batches = batches([keys[index] for index in indices], indices, batch_size)
    shards = [shard(all_batches, rank, world_size) for rank in range(world_size)]
    dealt = [index for part in shards for batch in part for index in batch]
    assert sorted(dealt) == indices
    assert max(map(len, shards)) - min(map(len, shards)) <= 1
    for batch in all_batches:
        assert 1 <= len(batch) <= batch_size
        assert len({keys[index] for index in batch}) == 1
        assert batch == sorted(batch)


@given(keys=Sizes, batch_size=st.integers(1, 9))
def test_no_more_batches_than_needed(keys: Sequence[tuple[int, int] | None], batch_size: int) -> None:
    needed = sum(-(-keys.count(key) // batch_size) for key in set(keys))
    assert len(batches(keys, range(len(keys)), batch_size)) == needed


def test_full_batches_come_first_then_the_rest_by_first_image() -> None:
    assert batches("ababcba", range(7), 2) == [[0, 2], [1, 3], [4], [5], [6]]


@pytest.mark.parametrize("num_workers", [0, 2])
def test_a_malformed_annotation_keeps_its_message_on_the_way_from_a_worker(tmp_path: Path, num_workers: int) -> None:
    root = write_voc(tmp_path, things={"a": [], "b": []})
    file = write_text(root / "VOCdevkit/VOC2007/Annotations/b.xml", "<annotation>")
    loader = image_module(configured("voc07", root=root), num_workers=num_workers).predict_dataloader()
    with pytest.raises(MalformedDataError) as caught:
        list(loader)
    assert str(caught.value) == f"{file}: broken XML: no element found: line 1, column 12"


def test_truth_that_does_not_fit_makes_its_image_unreadable(tmp_path: Path) -> None:
    chest = configured("chestxray14", root=write_chestxray14(tmp_path, {"1.png": "Mass"}, ["1.png,Mass,1,2,3,4"]))
    write_photograph(tmp_path / "chestxray14/images/1.png", (40, 60))
    assert [index for index, _, _ in load_batch(chest, [0]).unreadable] == [0]


def test_remarks_travel_with_their_images(tmp_path: Path) -> None:
    write_folder(tmp_path, {"b.png": (4, 5)})
    Image.fromarray(np.full((4, 5), 4000, np.uint16)).save(tmp_path / "a.png")
    contents = load_batch(Folder(tmp_path), [0, 1]).contents
    assert [contents[index].get("remarks") for index in (0, 1)] == [["uint16 pixels taken as 12 bit"], None]
