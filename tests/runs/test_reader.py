import json
from pathlib import Path
from typing import Any

import pytest

from nave.runs.reader import Run, mean_overlaps
from tests.helpers.pages import line, write_lines, write_run


def test_the_overlap_is_that_with_the_best_true_box(tmp_path: Path) -> None:
    known = line("known", 0, 3, (60, 80), truth=True)
    empty = known | {"image_id": "empty", "truth": {"boxes": [], "classes": [], "hard": []}}
    (at_k,) = Run.read(write_run(tmp_path)).at_k
    write_lines(at_k.results, [known, known | {"image_id": "unknown", "truth": None}, empty])
    assert mean_overlaps(Run.read(tmp_path).at_k) == {"known": 1, "unknown": None, "empty": None}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"status": "done"}, "status is 'done', not one of running, ok, failed, interrupted"),
        ({"ks": [[2]]}, r"ks\[0\] is \[2\], not a whole number"),
        ({"images": "3"}, "images is '3', not a whole number"),
        ({"config": {}}, "config has no key 'data'"),
        ({"unreadable": [{"image_id": "a"}]}, r"unreadable\[0\] has no key 'reason'"),
    ],
)
def test_a_record_of_another_form_is_named(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    write_run(tmp_path)
    path = tmp_path / "run.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    with pytest.raises(ValueError, match=rf"run\.json: {message}.*: run it again in this folder"):
        Run.read(tmp_path)


def test_scores_of_another_form_are_named(tmp_path: Path) -> None:
    (write_run(tmp_path) / "metrics.json").write_text('{"nave": 5}')
    (at_k,) = Run.read(tmp_path).at_k
    with pytest.raises(ValueError, match=r"metrics\.json: nave is 5, not an object: score the run again"):
        _ = at_k.scores
