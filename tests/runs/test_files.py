import json
from pathlib import Path

import pytest

from nave.runs.files import create_bytes, read_json, write_json


def test_whole_files_appear_at_once(tmp_path: Path) -> None:
    write_json(tmp_path / "deep" / "file.json", {"a": [1]})
    assert json.loads((tmp_path / "deep" / "file.json").read_text()) == {"a": [1]}
    assert len(list((tmp_path / "deep").iterdir())) == 1


@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), -float("inf")])
def test_a_number_that_json_lacks_is_not_written(tmp_path: Path, wrong: float) -> None:
    with pytest.raises(ValueError, match=rf"file\.json: a\.1\.b is {wrong}, which is no number of JSON"):
        write_json(tmp_path / "file.json", {"a": [0.5, {"b": wrong}]})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("constant", ["NaN", "Infinity", "-Infinity"])
def test_a_number_that_json_lacks_is_not_read(tmp_path: Path, constant: str) -> None:
    path = tmp_path / "file.json"
    path.write_text(f'{{"name": "NaN \\" Infinity",\n "value":\n {constant}}}')
    with pytest.raises(ValueError, match=rf"file\.json, line 3: {constant} is no number of JSON"):
        read_json(path)


def test_a_new_file_is_written_in_place_and_an_old_one_replaced(tmp_path: Path) -> None:
    path, link = tmp_path / "maps" / "a.png", tmp_path / "linked.png"
    create_bytes(path, b"first")
    link.hardlink_to(path)
    create_bytes(path, b"second")
    assert (path.read_bytes(), link.read_bytes()) == (b"second", b"first")
    with pytest.raises(TypeError):
        create_bytes(tmp_path / "torn.png", "no bytes")  # type: ignore[arg-type] # fails while it writes
    assert sorted(file.name for file in tmp_path.rglob("*.*")) == ["a.png", "linked.png"]
