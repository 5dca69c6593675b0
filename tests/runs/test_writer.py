"""What is on disk when an image is noted as finished."""

import json
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
import torch
from lightning import LightningModule, Trainer
from PIL import Image

from nave.data.datamodule import Batch
from nave.data.folder import Folder
from nave.localization.interface import Localization
from nave.localization.switch import OFF
from nave.module import ClusteredImage, Explanation, ImageClusters
from nave.runs.journal import Journal
from nave.runs.layout import RunFolder
from nave.runs.writer import Finisher, Task, Writer, WritingError, at_original_size
from tests.helpers.datasets import write_folder

LABELS = np.zeros((15, 20), np.uint8)
LABELS[:, 10:] = 1  # the left half is cluster 0, the right half 1, on a map of half the height and width


class RightHalf:
    """Localizes the right half of the map."""

    reads_tokens, foreground = True, OFF

    def layers(self, layers: Any) -> list[str]:
        return list(layers)

    def ks(self, ks: Any) -> tuple[Any, ...]:
        return tuple(ks)

    def __call__(self, labels: Any, tokens: Any, foreground: Any = None) -> tuple[Any, Localization]:
        return labels, Localization((), (10, 0, 20, 15))


def clustered(*ks: int, image_id: str = "trip/a") -> ClusteredImage:
    over_k = tuple(ImageClusters(k, LABELS, np.zeros((2, 3), np.float32), 1.5) for k in ks)
    return ClusteredImage(image_id, 0, (30, 40), over_k, None)


def finisher(tmp_path: Path, *ks: int, rank: int = 0) -> Finisher:
    dataset = Folder(write_folder(tmp_path / "images", {"trip/a.png": (30, 40)}))
    return Finisher(Journal(RunFolder(tmp_path / "run"), ks), rank, dataset, RightHalf())


def files(run: Path) -> set[str]:
    return {path.relative_to(run).as_posix() for path in run.rglob("*") if path.is_file()}


def test_the_map_exists_before_the_note_is_handed_over(tmp_path: Path) -> None:
    finished = finisher(tmp_path, 2)(Task(clustered(2), None, {"files": []}))
    assert files(tmp_path / "run") == {"maps/trip/a.png"}
    (note,) = map(json.loads, finished.lines.splitlines())
    assert (note["index"], note["k"], note["line"]["box"], note["content"]) == (0, 2, [20, 0, 40, 30], {"files": []})
    assert finished.seconds.keys() == {"localization", "writing"}


def test_every_image_is_noted_in_its_processes_name(tmp_path: Path) -> None:
    made = finisher(tmp_path, 2)
    writer = Writer(made.journal, made.dataset, made.localization, images=2)
    trainer, module = mock.Mock(Trainer, global_rank=3, world_size=1, num_devices=1), mock.Mock(LightningModule)
    batch = Batch(["trip/a"], [0], torch.zeros(1, 3, 15, 20, dtype=torch.uint8), [(30, 40)], [None], [(1, "b", "torn")])
    writer.setup(trainer, module, "predict")
    writer.on_predict_batch_end(trainer, module, lambda: [clustered(2)], batch, 0)
    writer.on_predict_end(trainer, module)
    unreadable, note = map(json.loads, (tmp_path / "run/parts/3.jsonl").read_text().splitlines())
    assert unreadable == {"index": 1, "unreadable": {"image_id": "b", "reason": "torn"}}
    assert note["index"] == 0


def test_a_map_has_the_pixels_of_the_original_image(tmp_path: Path) -> None:
    finisher(tmp_path, 2)(Task(clustered(2), None, None))
    with Image.open(tmp_path / "run" / "maps" / "trip" / "a.png") as labels:
        assert labels.size == (40, 30)
        assert np.array_equal(np.asarray(labels)[0], [0] * 20 + [1] * 20)


def test_a_map_of_the_right_size_is_left_alone() -> None:
    one = Explanation("a", 0, (15, 20), 2, LABELS, np.zeros((2, 3), np.float32), 1.5, Localization((), (0, 0, 1, 1)))
    assert at_original_size(one) is LABELS


def test_an_error_names_the_image_and_leaves_no_note(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: object, **options: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr("nave.runs.writer.write_image", full)
    with pytest.raises(WritingError, match="trip/a: no space left"):
        finisher(tmp_path, 2)(Task(clustered(2), None, None))
    assert not Journal(RunFolder(tmp_path / "run"), [2]).finished()


def test_every_k_has_its_folder(tmp_path: Path) -> None:
    finished = finisher(tmp_path, 2, 3)(Task(clustered(2, 3), None, None))
    assert files(tmp_path / "run") == {"k2/maps/trip/a.png", "k3/maps/trip/a.png"}
    assert [json.loads(line)["k"] for line in finished.lines.splitlines()] == [2, 3]


def test_what_waits_is_finished_when_the_run_is_interrupted(tmp_path: Path) -> None:
    made = finisher(tmp_path, 2)
    writer = Writer(made.journal, made.dataset, made.localization, images=16)
    trainer, module = mock.Mock(Trainer, global_rank=0, world_size=1, num_devices=2), mock.Mock(LightningModule)
    batch = Batch(["trip/a"], [0], torch.zeros(1, 3, 15, 20, dtype=torch.uint8), [(30, 40)], [None], [])
    writer.setup(trainer, module, "predict")
    writer.on_predict_batch_end(trainer, module, lambda: [clustered(2)], batch, 0)
    writer.on_exception(trainer, module, KeyboardInterrupt())
    assert Journal(RunFolder(tmp_path / "run"), [2]).finished() == {"trip/a"}
