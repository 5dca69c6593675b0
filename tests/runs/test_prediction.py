import json
from pathlib import Path
from typing import Any

import pytest

from nave.runs.layout import ResultsFolder
from nave.runs.prediction import Lines, read_lines
from tests.helpers.pages import line

SOUND = json.dumps(line("a", 0, 2, (30, 40), truth=True))
TABLE = {"miou": 0.5, "ari": 0.5, "nmi": 0.5, "object_miou": None, "classes": [0, 1], "names": [None, "cat"]}


def test_a_damaged_line_is_named(tmp_path: Path) -> None:
    (tmp_path / "predictions.jsonl").write_text(f'{SOUND}\n{{"image_id": \n')
    with pytest.raises(ValueError, match=r"predictions\.jsonl, line 3, column 1: no JSON"):
        list(read_lines(ResultsFolder(tmp_path)))


def test_a_folder_without_predictions_is_reported(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="is it the folder of a finished run"):
        list(read_lines(ResultsFolder(tmp_path)))


def test_a_line_with_nan_is_named(tmp_path: Path) -> None:
    (tmp_path / "predictions.jsonl").write_text(f'{SOUND}\n{{"image_id": "b", "inertia": NaN}}\n')
    with pytest.raises(ValueError, match=r"predictions\.jsonl, line 2: NaN is no number of JSON"):
        list(read_lines(ResultsFolder(tmp_path)))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"box": [1, 2, 3]}, r"\[1, 2, 3\] is no box x1, y1, x2, y2"),
        ({"box": [1, 2, 0, 3]}, r"\[1, 2, 0, 3\] is no box"),
        ({"box": [0, 0, 10**400, 5]}, r"box\[2\] is a huge number, not a number"),
        ({"box": None}, r"box is None, not a list"),
        ({"k": "many"}, r"k is 'many', not a whole number or one of auto or null"),
        ({"inertia": True}, r"inertia is True, not a number or null"),
        ({"components": [{"cluster": 0}]}, r"components\[0\] has no key 'area'"),
        ({"truth": {"boxes": [], "classes": ["cat"], "hard": []}}, "truth has different numbers"),
        ({"truth": {"boxes": 3, "classes": [], "hard": []}}, r"truth\.boxes is 3, not a list"),
        ({"width": 0}, "width 0 and height 30 are no size"),
        ({"segmentation": TABLE | {"pixels": [[1]]}}, r"segmentation\.pixels is no table"),
        ({"segmentation": TABLE | {"pixels": [], "classes": [0, -1]}}, r"segmentation\.classes are no ids"),
    ],
)
def test_a_line_of_another_form_is_named(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    text = SOUND + "\n" + json.dumps(json.loads(SOUND) | changes)
    (tmp_path / "predictions.jsonl").write_text(text)
    with pytest.raises(ValueError, match=rf"predictions\.jsonl, line 2: {message}.*: run the images again"):
        list(read_lines(ResultsFolder(tmp_path)))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[" * 100_000, "nested too deeply"),
        ("1" * 5000, "4300 digits"),
        ('{"a": "\xff"}', "utf-8"),
        (SOUND.replace("5.0", "1e999"), "inertia is inf, not a number"),
    ],
)
def test_json_that_cannot_be_read_is_named(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "predictions.jsonl").write_bytes(text.encode("latin-1"))
    with pytest.raises(ValueError, match=rf"predictions\.jsonl, line 1: .*{message}"):
        list(read_lines(ResultsFolder(tmp_path)))


@pytest.mark.parametrize("alike", [False, True])
def test_an_image_with_two_lines_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, alike: bool) -> None:
    if alike:  # of different images
        monkeypatch.setattr("nave.runs.prediction.image_key", lambda _: 5)
    lines = [SOUND.replace('"a"', f'"{name}"') + "\n" for name in "abcbad"]
    (tmp_path / "predictions.jsonl").write_text("".join(lines))
    with pytest.raises(ValueError, match=r"predictions\.jsonl, line 4: image 'b' is repeated: run the images again"):
        list(read_lines(ResultsFolder(tmp_path)))


@pytest.mark.parametrize("alike", [False, True])
def test_lines_are_found_by_their_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, alike: bool) -> None:
    if alike:
        monkeypatch.setattr("nave.runs.prediction.image_key", lambda _: 5)
    path = tmp_path / "predictions.jsonl"
    path.write_text("".join(SOUND.replace('"a"', f'"{name}"') + "\n" for name in ("b", "dö/é", "a")))
    lines = Lines(ResultsFolder(tmp_path))
    assert (len(lines), list(lines)) == (3, ["b", "dö/é", "a"])
    assert [line["image_id"] for line in lines.values()] == list(lines)
    assert "a" in lines
    assert 5 not in lines
    if not alike:
        assert "c" not in lines
        with pytest.raises(KeyError, match="c"):
            lines["c"]
    path.write_text(path.read_text().replace('"a"', '"b"'))
    with pytest.raises(ValueError, match=r"predictions\.jsonl has changed since it was read"):
        lines["a"]
