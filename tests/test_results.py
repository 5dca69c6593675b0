import json
from pathlib import Path

import pytest

from nave import results
from nave.results import RunFolder, prediction_folders, predictions, write_json, write_whole


def note(index: int, k: int | str = 2) -> dict[str, object]:
    return {"index": index, "k": k, "line": {"image_id": f"image{index}", "k": k}}


def unreadable(index: int) -> dict[str, object]:
    return {"index": index, "unreadable": {"image_id": f"image{index}", "reason": "torn"}}


def test_parts_are_collected_in_the_data_sets_order(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path, [2])
    for rank, index in ((0, 4), (1, 1), (1, 3), (0, 0)):
        folder.append(rank, note(index))
    folder.append(1, unreadable(2))
    assert folder.finished() == {f"image{index}" for index in range(5)}
    assert folder.collect(5) == [{"image_id": "image2", "reason": "torn"}]
    assert [line["image_id"] for line in predictions(tmp_path)] == ["image0", "image1", "image3", "image4"]
    folder.discard_parts()
    assert [path.name for path in tmp_path.iterdir()] == ["predictions.jsonl"]


def test_an_image_is_finished_when_it_is_noted_under_every_k(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path, [2, "auto"])
    folder.append(0, note(0, 2))
    folder.append(0, note(1, 2))
    folder.append(0, note(0, "auto"))
    folder.append(0, unreadable(2))
    assert folder.finished() == {"image0", "image2"}


def test_a_torn_line_is_passed_over_and_written_again(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path, [2])
    folder.append(0, note(0))
    folder.append(0, note(1))
    part = folder.part(0)
    part.write_text(part.read_text()[:-5])
    assert folder.finished() == {"image0"}
    folder.append(0, note(1))
    folder.append(0, note(1))  # twice is once
    folder.collect(2)
    assert [line["image_id"] for line in predictions(tmp_path)] == ["image0", "image1"]


def test_missing_notes_are_waited_for_then_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results, "PATIENCE", 0.0)
    folder = RunFolder(tmp_path, [2])
    folder.append(0, note(0))
    with pytest.raises(RuntimeError, match="1 of 2 images are noted as finished: run it again"):
        folder.collect(2)


def test_clear_leaves_nothing_of_an_earlier_run(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path, [2, 3])
    folder.append(0, note(0))
    for k in (2, 3):
        for inside in ("maps", "overlays", "centroids"):
            write_whole(folder.of(k) / inside / "trip" / "beach.png", "")
        for file in ("predictions.jsonl", "metrics.json"):
            write_whole(folder.of(k) / file, "")
    write_whole(tmp_path / "run.json", "{}")
    folder.clear()
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["run.json"]


def test_a_damaged_line_is_named(tmp_path: Path) -> None:
    (tmp_path / "predictions.jsonl").write_text('{"image_id": "a"}\n{"image_id": \n')
    with pytest.raises(ValueError, match=r"predictions\.jsonl, line 2: no JSON"):
        list(predictions(tmp_path))


def test_a_folder_without_predictions_is_told(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="is it the folder of a finished run"):
        list(predictions(tmp_path))
    with pytest.raises(FileNotFoundError, match="is it the folder of a finished run"):
        prediction_folders(tmp_path)


def test_whole_files_appear_at_once(tmp_path: Path) -> None:
    write_json(tmp_path / "deep" / "file.json", {"a": [1]})
    assert json.loads((tmp_path / "deep" / "file.json").read_text()) == {"a": [1]}
    assert len(list((tmp_path / "deep").iterdir())) == 1
