from pathlib import Path

import pytest

from nave.runs.layout import ResultsFolder
from nave.runs.prediction import read_lines


def test_a_damaged_line_is_named(tmp_path: Path) -> None:
    (tmp_path / "predictions.jsonl").write_text('{"image_id": "a"}\n{"image_id": \n')
    with pytest.raises(ValueError, match=r"predictions\.jsonl, line 2: no JSON"):
        list(read_lines(ResultsFolder(tmp_path)))


def test_a_folder_without_predictions_is_reported(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="is it the folder of a finished run"):
        list(read_lines(ResultsFolder(tmp_path)))


def test_a_line_with_nan_is_named(tmp_path: Path) -> None:
    (tmp_path / "predictions.jsonl").write_text('{"image_id": "a"}\n{"image_id": "b", "inertia": NaN}\n')
    with pytest.raises(ValueError, match=r"predictions\.jsonl, line 2: NaN is no number of JSON"):
        list(read_lines(ResultsFolder(tmp_path)))
