"""What is on disk when an image is noted as finished."""

import json
import os
import signal
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from lightning import LightningModule, Trainer
from PIL import Image

from nave.data.datamodule import Batch
from nave.data.folder import Folder
from nave.localization.interface import Localization
from nave.module import Explanation
from nave.runs.journal import Journal
from nave.runs.layout import RunFolder
from nave.runs.writer import Background, Writer, at_original_size, keep_photograph
from tests.helpers.datasets import write_folder


def explanation(k: int = 2, size: tuple[int, int] = (30, 40), image_id: str = "trip/a") -> Explanation:
    """The left half is cluster 0, the right half 1, on a map of half the height and width."""
    labels = np.zeros((15, 20), np.uint8)
    labels[:, 10:] = 1
    centroids = np.zeros((2, 3), np.float32)
    box = (10, 0, 20, 15)
    return Explanation(image_id, 0, size, k, labels, centroids, 1.5, Localization((), box))


def batch(*unreadable: tuple[int, str, str]) -> Batch:
    return Batch(["trip/a"], [0], torch.zeros(1, 3, 15, 20, dtype=torch.uint8), [(30, 40)], [None], list(unreadable))


def writer(
    tmp_path: Path, ks: tuple[int, ...] = (2,), *, overlays: bool = True, photographs: int | None = 20
) -> Writer:
    dataset = Folder(write_folder(tmp_path / "images", {"trip/a.png": (30, 40)}))
    return Writer(Journal(RunFolder(tmp_path / "run"), ks), dataset, overlays, photographs)


def files(run: Path) -> set[str]:
    return {path.relative_to(run).as_posix() for path in run.rglob("*") if path.is_file()}


def test_pictures_come_before_the_note(tmp_path: Path) -> None:
    writer(tmp_path).write_batch(3, [explanation()], batch((1, "trip/b", "torn")))
    run = tmp_path / "run"
    assert files(run) == {"maps/trip/a.png", "overlays/trip/a.jpg", "photographs/trip/a.jpg", "parts/3.jsonl"}
    unreadable, note = map(json.loads, (run / "parts" / "3.jsonl").read_text().splitlines())
    assert unreadable == {"index": 1, "unreadable": {"image_id": "trip/b", "reason": "torn"}}
    assert (note["index"], note["k"], note["line"]["box"]) == (0, 2, [20, 0, 40, 30])


def test_a_map_has_the_pixels_of_the_original_image(tmp_path: Path) -> None:
    writer(tmp_path, overlays=False, photographs=None).write_batch(0, [explanation()], batch())
    assert files(tmp_path / "run") == {"maps/trip/a.png", "parts/0.jsonl"}
    with Image.open(tmp_path / "run" / "maps" / "trip" / "a.png") as labels:
        assert labels.size == (40, 30)
        assert np.array_equal(np.asarray(labels)[0], [0] * 20 + [1] * 20)


def test_a_map_of_the_right_size_is_left_alone() -> None:
    one = explanation(size=(15, 20))
    assert at_original_size(one) is one.labels


def test_a_full_disk_leaves_no_note(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr("nave.runs.writer.keep_photograph", full)
    with pytest.raises(OSError, match="no space left"):
        writer(tmp_path).write_batch(0, [explanation()], batch())
    assert not Journal(RunFolder(tmp_path / "run"), [2]).finished()


def test_every_k_has_its_folder_and_one_photograph_is_kept(tmp_path: Path) -> None:
    writer(tmp_path, (2, 3)).write_batch(0, [explanation(2), explanation(3)], batch())
    assert {name for name in files(tmp_path / "run") if name.endswith((".png", "s/trip/a.jpg"))} == {
        *("k2/maps/trip/a.png", "k3/maps/trip/a.png", "k2/overlays/trip/a.jpg", "k3/overlays/trip/a.jpg"),
        "photographs/trip/a.jpg",
    }


def test_calls_are_made_in_order_on_another_thread() -> None:
    seen: list[tuple[int, bool]] = []
    background = Background(pending=3)

    for number in range(20):
        background.submit(lambda n: seen.append((n, threading.current_thread() is threading.main_thread())), number)
    background.finish()

    assert seen == [(number, False) for number in range(20)]


def test_an_error_surfaces_and_stops_the_rest() -> None:
    seen: list[int] = []
    gate = threading.Event()
    background = Background(pending=8)
    background.submit(lambda: gate.wait(10) and None)
    background.submit(lambda: 1 / 0)
    background.submit(seen.append, 1)

    gate.set()
    with pytest.raises(ZeroDivisionError):
        background.finish()

    assert seen in ([], [1])  # what had begun before the error was looked at may have ended


def test_submitting_waits_when_too_much_waits() -> None:
    gate = threading.Event()
    background = Background(pending=1)
    background.submit(gate.wait, 10)
    threading.Timer(0.05, gate.set).start()

    background.submit(gate.wait, 10)  # returns once the first call is done

    assert gate.is_set()
    background.finish()


def test_abandoned_calls_are_not_made() -> None:
    seen: list[int] = []
    gate = threading.Event()
    background = Background(pending=8)
    background.submit(gate.wait, 10)
    background.submit(seen.append, 1)
    threading.Timer(0.05, gate.set).start()

    background.abandon()

    assert seen == []


@pytest.mark.parametrize("while_waiting", [False, True])
def test_what_waits_is_written_when_the_run_is_interrupted(tmp_path: Path, while_waiting: bool) -> None:
    callback, gate = writer(tmp_path, overlays=False, photographs=None), threading.Event()
    callback.on_predict_start(trainer := Trainer(logger=False), module := LightningModule())
    background = callback._background
    background.submit(gate.wait, 10)
    background.submit(callback.write_batch, 0, [explanation()], batch())
    threading.Timer(0.5 if while_waiting else 0, gate.set).start()
    if while_waiting:  # for a slow disk
        threading.Timer(0.03, os.kill, (os.getpid(), signal.SIGINT)).start()
        with pytest.raises(KeyboardInterrupt):
            background.finish()
    callback.on_exception(trainer, module, KeyboardInterrupt())
    assert Journal(RunFolder(tmp_path / "run"), [2]).finished() == {"trip/a"}


def test_a_copy_is_written_once_also_for_an_id_with_folders(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    keep_photograph(Image.new("RGB", (80, 60), (200, 10, 10)), folder, "trip/beach", 40)
    keep_photograph(Image.new("RGB", (80, 60)), folder, "trip/beach", 40)
    with Image.open(folder.photograph("trip/beach")) as image:
        assert image.size == (40, 30)
        assert np.asarray(image)[..., 0].mean() > 150
