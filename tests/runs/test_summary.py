"""The table of a sweep: the varied keys and the state of each job."""

from pathlib import Path
from typing import Any

import pytest

from nave.runs.files import write_csv, write_json, write_whole
from nave.runs.summary import ROWS, as_markdown, figures, flat, image_table, summary, varied
from nave.viz.terminal import show
from tests.helpers.pages import configuration, line

SCORE = {"value": 50.0, "low": 40.0, "high": 60.0, "images": 2}


def finished(folder: Path, overrides: str, *, ks: tuple[int, ...] = (5,), **scores: Any) -> None:
    record = {
        "status": "ok",
        "config": configuration({"k": list(ks) if len(ks) > 1 else ks[0]}),
        "unreadable": [],
        "ks": list(ks),
        "images": 2,
        "images_per_second": 4.0,
        "seconds": {"total": 0.5},
    }
    write_json(folder / "run.json", record)
    write_whole(folder / ".hydra" / "overrides.yaml", overrides)
    for k in ks:
        results = folder / f"k{k}" if len(ks) > 1 else folder
        write_whole(results / "predictions.jsonl", "")
        write_json(results / "metrics.json", scores)


def test_only_what_differs_between_the_jobs_is_a_column(tmp_path: Path) -> None:
    for name, training in (("a", "default"), ("b", "random")):
        finished(tmp_path / name, f"- data=voc07\n- training={training}\n- k=5\n", corloc=SCORE)
    rows = summary(tmp_path)
    assert varied(rows) == ["training"]
    headings = as_markdown(rows).splitlines()[0]
    assert headings.startswith("| training | k | images | nave | corloc |")
    assert as_markdown(rows).splitlines()[2].startswith("| default | 5 | 2 | - | 50.0 (40.0 to 60.0) |")


def test_every_k_of_a_job_is_a_row_in_order(tmp_path: Path) -> None:
    finished(tmp_path / "a", "- k=[10,3]\n", ks=(10, 3), corloc=SCORE)
    assert [row.k for row in summary(tmp_path)] == ["3", "10"]


def test_csv_has_value_and_interval_and_what_was_varied(tmp_path: Path) -> None:
    for size in (32, 64):
        finished(tmp_path / f"size{size}", f"- image_size={size}\n", corloc=SCORE)
    rows = flat(summary(tmp_path))
    assert [row["image_size"] for row in rows] == ["32", "64"]
    assert (rows[0]["corloc"], rows[0]["corloc_low"], rows[0]["corloc_high"]) == (50, 40, 60)
    assert (rows[0]["nave"], rows[0]["status"], rows[0]["seconds"]) == (None, "ok", 0.5)


@pytest.mark.parametrize(
    ("scores", "shown"),
    [
        ({"corloc": SCORE, "miou": SCORE}, ["nave", "corloc", "ap50", "ar100"]),
        ({"corloc": SCORE | {"value": None}, "miou": SCORE, "balance": SCORE}, ["miou", "balance"]),
        ({}, ["nave", "corloc", "ap50", "ar100"]),
    ],
)
def test_without_boxes_the_table_shows_what_else_is_known(
    tmp_path: Path, scores: dict[str, Any], shown: list[str]
) -> None:
    finished(tmp_path / "a", "- k=5\n", **scores)
    assert figures(summary(tmp_path)) == shown


def test_no_job_at_all_is_an_empty_table(tmp_path: Path) -> None:
    assert summary(tmp_path) == []
    write_csv(tmp_path / "summary.csv", flat([]))
    assert (tmp_path / "summary.csv").read_text() == "\n"


def test_the_first_images_of_many_and_how_many_more(capsys: pytest.CaptureFixture[str]) -> None:
    lines = [line(f"image {number}", number, 3, (60, 80), truth=True) for number in range(ROWS + 5)]
    show(image_table(iter(lines), len(lines)))
    out = capsys.readouterr().out
    assert f"image {ROWS - 1} " in out
    assert f"image {ROWS} " not in out
    assert "and 5 more in predictions.jsonl" in out
