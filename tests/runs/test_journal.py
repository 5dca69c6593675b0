import json
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from nave.runs import journal as module
from nave.runs.contents import read_contents
from nave.runs.files import write_whole
from nave.runs.journal import Journal
from nave.runs.layout import RunFolder


def journal(path: Path, *ks: int | str) -> Journal:
    return Journal(RunFolder(path), ks)


def note(index: int, k: int | str = 2) -> dict[str, object]:
    return {"index": index, "k": k, "line": {"image_id": f"image{index}", "k": k}}


def collected(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / "predictions.jsonl").read_text().splitlines()]


def unreadable(index: int) -> dict[str, object]:
    return {"index": index, "unreadable": {"image_id": f"image{index}", "reason": "torn"}}


def written_ids(path: Path) -> list[str]:
    return [json.loads(line)["image_id"] for line in (path / "predictions.jsonl").read_text().splitlines()]


def test_parts_are_collected_in_the_data_sets_order(tmp_path: Path) -> None:
    notes = journal(tmp_path, 2)
    for rank, index in ((0, 4), (1, 1), (1, 3), (0, 0)):
        notes.append(rank, note(index))
    notes.append(1, unreadable(2))
    assert notes.finished() == set(range(5))
    assert notes.collect(5) == [{"image_id": "image2", "reason": "torn"}]
    assert written_ids(tmp_path) == ["image0", "image1", "image3", "image4"]
    notes.discard()
    assert [path.name for path in tmp_path.iterdir()] == ["predictions.jsonl"]


def test_an_image_is_finished_when_it_is_noted_under_every_k(tmp_path: Path) -> None:
    notes = journal(tmp_path, 2, "auto")
    notes.append(0, note(0, 2))
    notes.append(0, note(1, 2))
    notes.append(0, note(0, "auto"))
    notes.append(0, unreadable(2))
    assert notes.finished() == {0, 2}


def test_a_torn_line_is_passed_over_and_written_again(tmp_path: Path) -> None:
    notes = journal(tmp_path, 2)
    notes.append(0, note(0))
    notes.append(0, note(1))
    part = notes.folder.part(0)
    part.write_text(part.read_text()[:-5])
    assert notes.finished() == {0}
    notes.append(0, note(1))
    notes.append(0, note(1))  # twice is once
    notes.collect(2)
    assert written_ids(tmp_path) == ["image0", "image1"]


def test_what_images_were_read_from_is_told_by_their_ids(tmp_path: Path) -> None:
    notes = journal(tmp_path, 2, 3)
    file = {"size": 3, "changed": 0, "sha256": "0"}
    notes.append(0, *(note(1, k) | {"content": {"files": [file], "truth": "1"}} for k in (2, 3)))
    notes.append(1, unreadable(0) | {"content": {"files": [None]}})
    notes.collect(2)
    assert list(read_contents(notes.folder.data())) == [
        {"index": 0, "image_id": "image0", "files": [None]},
        {"index": 1, "image_id": "image1", "files": [file], "truth": "1"},
    ]


def test_missing_notes_are_waited_for_then_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATIENCE", 0.0)
    notes = journal(tmp_path, 2)
    notes.append(0, note(0))
    with pytest.raises(RuntimeError, match="1 of 2 images are noted as finished: run it again"):
        notes.collect(2)


def test_clear_leaves_nothing_of_an_earlier_run(tmp_path: Path) -> None:
    notes = journal(tmp_path, 2, 3)
    notes.append(0, note(0))
    for k in (2, 3):
        results = notes.folder.at(k, notes.ks)
        for place in (results.map, results.overlay, results.centroids):
            write_whole(place("trip/beach"), "")
        for file in (results.predictions, results.metrics):
            write_whole(file, "")
    write_whole(notes.folder.record, "{}")
    notes.clear()
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["run.json"]


def test_a_note_that_is_no_json_is_neither_written_nor_read(tmp_path: Path) -> None:
    notes = journal(tmp_path, 2)
    wrong = note(0)
    wrong["line"] = {"image_id": "image0", "inertia": float("nan")}
    with pytest.raises(ValueError, match=r"parts/0\.jsonl: line\.inertia is nan, which is no number of JSON"):
        notes.append(0, wrong)
    notes.append(0, note(1))
    with (tmp_path / "parts" / "0.jsonl").open("a") as file:
        file.write('{"index": 2, "line": {"inertia": Infinity}}\n')
    with pytest.raises(ValueError, match=r"parts/0\.jsonl, line 2: Infinity is no number of JSON"):
        notes.finished()


def test_the_end_of_a_torn_note_is_passed_over_even_where_it_is_json(tmp_path: Path) -> None:
    notes = journal(tmp_path, 2)
    notes.append(0, note(0))
    with notes.folder.part(0).open("ab") as file:
        file.write(b'5\n{}\n[1]\n{"index": 1}\n{"index": 1, "line": {}}\n\x00\x00\n\xff\xfe\n')
    notes.append(0, note(1))
    assert notes.finished() == {0, 1}
    notes.collect(2)
    assert written_ids(tmp_path) == ["image0", "image1"]


@contextmanager
def peak_memory() -> Iterator[list[int]]:
    """Bytes, once the block has ended."""
    peak: list[int] = []
    tracemalloc.start()
    try:
        yield peak
        peak.append(tracemalloc.get_traced_memory()[1])
    finally:
        tracemalloc.stop()


def test_memory_holds_no_lines(tmp_path: Path) -> None:
    notes = journal(tmp_path, 2)
    for index in range(60):
        long = note(index) | {"line": {"image_id": f"image{index}", "k": 2, "components": ["x" * 50_000]}}
        notes.append(index % 2, long)
    with peak_memory() as peak:
        assert len(notes.finished()) == 60
        notes.collect(60)
    assert (tmp_path / "predictions.jsonl").stat().st_size > 2_900_000
    assert peak[0] < 700_000


def test_a_note_under_another_k_is_none(tmp_path: Path) -> None:
    notes = journal(tmp_path, 2)
    notes.append(0, note(0, 3))
    assert not notes.finished()


COLLECT = """
import sys, tracemalloc
from pathlib import Path
from nave.runs.journal import Journal
from nave.runs.layout import RunFolder
tracemalloc.start()
Journal(RunFolder(Path(sys.argv[1])), (2,)).collect(int(sys.argv[2]))
print(tracemalloc.get_traced_memory()[1])
"""


@pytest.mark.slow
def test_collecting_keeps_some_bytes_an_image(tmp_path: Path) -> None:
    """In a process of its own: checked calls under tracemalloc take milliseconds each."""
    peaks = {}
    for images in (2_000, 20_000):
        folder = RunFolder(tmp_path / str(images))
        noted = (json.dumps(note(index) | {"content": {"truth": f"{index:064}"}}) for index in range(images))
        write_whole(folder.part(0), "".join(f"{line}\n" for line in noted))
        command = [sys.executable, "-c", COLLECT, str(folder.path), str(images)]
        peaks[images] = int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    assert peaks[20_000] - peaks[2_000] < 64 * 18_000


def test_a_later_note_on_the_same_replaces_an_earlier_one_unless_it_no_longer_holds(tmp_path: Path) -> None:
    notes = journal(tmp_path, 2)
    for rank, text in ((0, "first"), (0, "second"), (1, "third")):
        notes.append(rank, note(3) | {"line": {"image_id": "image3", "k": 2, "text": text}})
    notes.collect(1)
    assert [line["text"] for line in collected(tmp_path)] == ["third"]
    read = notes.read(lambda found: found["line"]["text"] != "third")
    notes.collect(1, read)
    assert [line["text"] for line in collected(tmp_path)] == ["second"]
    assert not list(notes.read(lambda _: False).finished())


def test_what_is_noted_after_the_reading_holds_even_in_the_place_of_what_no_longer_does(tmp_path: Path) -> None:
    notes = journal(tmp_path, 2)
    notes.append(1, note(3) | {"line": {"image_id": "image3", "k": 2, "text": "stale"}})
    asked: list[object] = []
    read = notes.read(lambda found: bool(asked.append(found)))
    for text in ("new", "newest"):
        notes.append(0, note(3) | {"line": {"image_id": "image3", "k": 2, "text": text}})
    notes.collect(1, read)
    assert [line["text"] for line in collected(tmp_path)] == ["newest"]
    assert len(asked) == 1  # every line is read once


def test_a_line_that_is_being_written_is_read_when_it_is_whole(tmp_path: Path) -> None:
    notes = journal(tmp_path, 2)
    notes.append(0, note(0))
    part, line = notes.folder.part(0), notes.lines(0, note(1))
    with part.open("ab") as file:
        file.write(line[:20])
    read = notes.read()
    assert list(read.finished()) == [0]
    with part.open("ab") as file:
        file.write(line[20:])
    read.read()
    assert list(read.finished()) == [0, 1]
