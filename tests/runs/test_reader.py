from pathlib import Path

from nave.runs.reader import Run
from tests.helpers.pages import line, write_lines, write_run


def test_the_overlap_is_that_with_the_best_true_box(tmp_path: Path) -> None:
    known = line("known", 0, 3, (60, 80), truth=True)
    empty = known | {"image_id": "empty", "truth": {"boxes": [], "classes": [], "hard": []}}
    (at_k,) = Run.read(write_run(tmp_path)).at_k
    write_lines(at_k.results, [known, known | {"image_id": "unknown", "truth": None}, empty])
    assert Run.read(tmp_path).overlaps() == {"known": 1, "unknown": None, "empty": None}
