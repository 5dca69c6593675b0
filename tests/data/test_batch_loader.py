"""Batches from several processes are those of one process, whatever their memory."""

import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch

from nave.data.batch import Batch
from nave.data.batch_loader import BatchLoader, pieces
from nave.data.folder import Folder
from nave.data.input_size import InputSize
from nave.processes import crew
from tests.helpers.datasets import write_folder, write_text


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    write_folder(tmp_path, {f"{number:02}.png": (20, 30) for number in range(30)})
    (tmp_path / "05.png").write_bytes((tmp_path / "05.png").read_bytes()[:-500])
    for number in (20, 21, 22):  # the whole third batch
        write_text(tmp_path / f"{number}.png", "no image")
    return Folder(tmp_path)


BATCHES = [list(range(11)), list(range(11, 20)), [20, 21, 22], [23], list(range(24, 30))]


def known(batch: Batch) -> tuple[Any, ...]:
    return batch.image_ids, batch.indices, batch.sizes, batch.truths, batch.unreadable


@pytest.mark.parametrize("size", [InputSize(), InputSize((8, 9))])
@pytest.mark.parametrize("slot", [0, 20 * 30 * 3, 4 << 20])  # bytes: of no image, of one, of many
def test_batches_are_those_of_one_process(
    folder: Folder, size: InputSize, slot: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crew, "ROOM", slot or 1)
    expected = list(BatchLoader(folder, BATCHES, size, processes=0))
    found = list(BatchLoader(folder, BATCHES, size, processes=2))
    assert [len(batch.image_ids) for batch in expected] == [10, 9, 0, 1, 6]
    for one, other in zip(expected, found, strict=True):
        assert known(one) == known(other)
        assert one.contents.keys() == other.contents.keys()
        assert torch.equal(one.images, other.images)


def test_where_nothing_can_be_forked_pixels_are_sent(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crew, "FORKS", False)
    found = list(BatchLoader(folder, BATCHES[:2], InputSize(), processes=1))
    expected = list(BatchLoader(folder, BATCHES[:2], InputSize(), processes=0))
    assert all(torch.equal(one.images, other.images) for one, other in zip(expected, found, strict=True))


def test_batches_are_not_overwritten_by_later_ones(folder: Folder) -> None:
    batches = [[number] for number in range(5)] * 8  # more than there are slots
    found = list(BatchLoader(folder, batches, InputSize(), processes=1))
    assert all(torch.equal(one.images, found[place % 5].images) for place, one in enumerate(found))


@pytest.mark.parametrize(("count", "sizes"), [(1, [1]), (8, [8]), (17, [8, 8, 1]), (80, [10] * 8)])
def test_a_batch_is_split_evenly_among_processes(count: int, sizes: list[int]) -> None:
    assert [len(piece) for piece in pieces(range(count))] == sizes
    assert [index for piece in pieces(range(count)) for index in piece] == list(range(count))


def test_a_reader_that_is_killed_ends_the_run(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Folder, "image", lambda *_: os.kill(os.getpid(), signal.SIGKILL))
    with pytest.raises(RuntimeError, match="a process that reads images was killed: is there enough memory"):
        list(BatchLoader(folder, BATCHES, InputSize(), processes=1))
