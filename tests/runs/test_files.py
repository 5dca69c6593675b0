import json
from pathlib import Path

import pytest

from nave.runs.files import read_json, write_json


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
