"""What the callback notes of every process, and of a run that is interrupted."""

import json
from pathlib import Path
from unittest import mock

import torch
from lightning import Trainer

from nave.data.batch import Batch
from nave.module import Explainer
from nave.runs.journal import Journal
from nave.runs.layout import RunFolder
from nave.runs.writer import Writer
from tests.runs.test_finishing import clustered, finisher

ON_CPU = mock.Mock(root_device=torch.device("cpu"))


def test_every_image_is_noted_in_its_processes_name(tmp_path: Path) -> None:
    made = finisher(tmp_path, 2)
    writer = Writer(made.journal, made.dataset, made.localization, images=2)
    trainer, module = (
        mock.Mock(Trainer, strategy=ON_CPU, global_rank=3, world_size=1, num_devices=1),
        mock.Mock(Explainer, ahead=0),
    )
    batch = Batch(["trip/a"], [0], torch.zeros(1, 3, 15, 20, dtype=torch.uint8), [(30, 40)], [None], [(1, "b", "torn")])
    writer.setup(trainer, module, "predict")
    writer.on_predict_batch_end(trainer, module, lambda: [clustered(2)], batch, 0)
    writer.on_predict_end(trainer, module)
    unreadable, note = map(json.loads, (tmp_path / "run/parts/3.jsonl").read_text().splitlines())
    assert unreadable == {"index": 1, "unreadable": {"image_id": "b", "reason": "torn"}}
    assert note["index"] == 0


def test_what_waits_is_finished_when_the_run_is_interrupted(tmp_path: Path) -> None:
    made = finisher(tmp_path, 2)
    writer = Writer(made.journal, made.dataset, made.localization, images=16)
    trainer, module = (
        mock.Mock(Trainer, strategy=ON_CPU, global_rank=0, world_size=1, num_devices=2),
        mock.Mock(Explainer, ahead=0),
    )
    batch = Batch(["trip/a"], [0], torch.zeros(1, 3, 15, 20, dtype=torch.uint8), [(30, 40)], [None], [])
    writer.setup(trainer, module, "predict")
    writer.on_predict_batch_end(trainer, module, lambda: [clustered(2)], batch, 0)
    writer.on_exception(trainer, module, KeyboardInterrupt())
    assert Journal(RunFolder(tmp_path / "run"), [2]).finished() == {0}
