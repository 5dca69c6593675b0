import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning import LightningModule, Trainer
from omegaconf import OmegaConf

from nave.data.batch import Batch, load_batch
from nave.data.folder import Folder
from nave.data.module import ImageModule
from tests.data.writers import write_folder, write_text

SIZES = {"a.png": (20, 30), "b.png": (30, 20), "c.png": (20, 30), "d.png": (30, 20), "e.png": (20, 30)}


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(write_folder(tmp_path, SIZES))


def ids(module: ImageModule) -> list[list[str]]:
    return [batch.image_ids for batch in module.predict_dataloader()]


def test_native_sizes_are_bucketed(folder: Folder) -> None:
    found = list(ImageModule(folder, batch_size=2).predict_dataloader())
    assert [batch.image_ids for batch in found] == [["a", "c"], ["b", "d"], ["e"]]
    assert [batch.indices for batch in found] == [[0, 2], [1, 3], [4]]
    assert [tuple(batch.images.shape) for batch in found] == [(2, 3, 20, 30), (2, 3, 30, 20), (1, 3, 20, 30)]
    assert found[1].sizes == [(30, 20), (30, 20)]
    assert np.array_equal(found[0].images[1].permute(1, 2, 0), np.asarray(folder.image(2)))


def test_one_image_a_batch_reads_no_header(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Folder, "size", lambda *_: pytest.fail("read a header"))
    assert ids(ImageModule(folder)) == [["a"], ["b"], ["c"], ["d"], ["e"]]


@pytest.mark.parametrize("image_size", [8, [8, 8], OmegaConf.create([8, 8])])
def test_image_size_resizes_and_keeps_the_original_size(folder: Folder, image_size: Any) -> None:
    found = list(ImageModule(folder, image_size=image_size, batch_size=4).predict_dataloader())
    assert [tuple(batch.images.shape) for batch in found] == [(4, 3, 8, 8), (1, 3, 8, 8)]
    assert found[0].sizes == list(SIZES.values())[:4]


def test_resizing_is_torchvisions_antialiased_bilinear(folder: Folder) -> None:
    from torchvision.transforms.v2 import functional as transforms

    native = load_batch(folder, [0])
    expected = transforms.resize(native.images, [11, 9], antialias=True)
    difference = load_batch(folder, [0], (11, 9)).images.int() - expected.int()
    assert difference.abs().max() <= 1


def test_limit_and_skip(folder: Folder) -> None:
    assert ids(ImageModule(folder, limit=3)) == [["a"], ["b"], ["c"]]
    assert ids(ImageModule(folder, limit=9, skip=["b", "e", "unknown"])) == [["a"], ["c"], ["d"]]
    assert ids(ImageModule(folder, skip={name[0] for name in SIZES})) == []


@pytest.mark.parametrize("world_size", [1, 2, 3, 8])
def test_ranks_share_the_images(folder: Folder, monkeypatch: pytest.MonkeyPatch, world_size: int) -> None:
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda: world_size)
    seen: list[str] = []
    for rank in range(world_size):
        monkeypatch.setattr(torch.distributed, "get_rank", lambda rank=rank: rank)
        seen += [image_id for batch in ids(ImageModule(folder, batch_size=2)) for image_id in batch]
    assert sorted(seen) == ["a", "b", "c", "d", "e"]


@pytest.mark.parametrize("batch_size", [1, 3])
def test_unreadable_images_are_told_and_passed_over(tmp_path: Path, batch_size: int) -> None:
    write_folder(tmp_path, {"a.png": (20, 30), "cut.png": (20, 30), "z.png": (20, 30)})
    (tmp_path / "cut.png").write_bytes((tmp_path / "cut.png").read_bytes()[:-500])
    write_text(tmp_path / "words.jpg", "no image")
    found = list(ImageModule(Folder(tmp_path), batch_size=batch_size).predict_dataloader())
    unreadable = [entry for batch in found for entry in batch.unreadable]
    assert [(index, image_id) for index, image_id, _ in unreadable] == [(1, "cut"), (2, "words")]
    assert "truncated" in unreadable[0][2]
    assert [image_id for batch in found for image_id in batch.image_ids] == ["a", "z"]
    assert tuple(found[-1].images.shape) in {(0, 3, 0, 0), (1, 3, 20, 30)}


def test_a_batch_of_nothing_but_unreadable(tmp_path: Path) -> None:
    write_text(tmp_path / "words.jpg", "no image")
    batch = load_batch(Folder(tmp_path), [0])
    assert (batch.images.shape, batch.images.dtype) == ((0, 3, 0, 0), torch.uint8)
    assert batch.image_ids == batch.truths == batch.sizes == batch.indices == []


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"batch_size": 0}, "batch_size=0: must be at least 1"),
        ({"limit": 0}, "limit=0: must be at least 1"),
        ({"image_size": 0}, "image_size=0: give null"),
        ({"image_size": [1, 2, 3]}, r"image_size=\[1, 2, 3\]: give null"),
    ],
)
def test_impossible_settings(folder: Folder, wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ImageModule(folder, **wrong)


def test_a_batch_moves_with_its_images(folder: Folder) -> None:
    batch = load_batch(folder, [0, 2])
    moved = batch.to("meta", non_blocking=True)
    assert (moved.images.device.type, moved.image_ids) == ("meta", ["a", "c"])


def test_prepare_data_prepares_a_data_set_that_can(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[bool] = []
    ImageModule(folder).prepare_data()
    monkeypatch.setattr(Folder, "prepare", lambda _: done.append(True), raising=False)
    ImageModule(folder).prepare_data()
    assert done == [True]


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
    module = ImageModule(folder, batch_size=2, num_workers=num_workers)
    trainer.predict(recorder, datamodule=module, return_predictions=False)
    assert recorder.seen == [["a", "c"], ["b", "d"], ["e"]]


TWO_PROCESSES = """
import sys
from pathlib import Path
from lightning import LightningModule, Trainer
from nave.data.folder import Folder
from nave.data.module import ImageModule

class Recorder(LightningModule):
    def predict_step(self, batch):
        for image_id in batch.image_ids:
            (Path(sys.argv[2]) / f"{image_id}.{self.global_rank}").touch()

if __name__ == "__main__":
    trainer = Trainer(accelerator="cpu", devices=2, strategy="ddp", logger=False, enable_checkpointing=False,
                      enable_progress_bar=False, use_distributed_sampler=False)
    module = ImageModule(Folder(sys.argv[1]), batch_size=2)
    trainer.predict(Recorder(), datamodule=module, return_predictions=False)
"""


@pytest.mark.slow
def test_two_lightning_processes_see_each_image_once(folder: Folder, tmp_path: Path) -> None:
    script = write_text(tmp_path / "predict.py", TWO_PROCESSES)
    seen = tmp_path / "seen"
    seen.mkdir()
    subprocess.run([sys.executable, str(script), str(tmp_path), str(seen)], check=True, capture_output=True)
    assert sorted(path.name for path in seen.iterdir()) == ["a.0", "b.1", "c.0", "d.1", "e.0"]
