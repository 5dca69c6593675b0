"""Scoring again from disk."""

import json
from pathlib import Path
from typing import Any

import pytest

from nave.evaluate import main
from nave.runs.files import write_json, write_whole
from nave.runs.layout import RunFolder
from nave.runs.scoring import evaluate

OPTIONS = {"iou": 0.5, "hard": True, "inner": False, "per_class": False, "per_size": False, "groups": 2}


def line(number: int, *, hit: bool, hard: bool = False) -> dict[str, Any]:
    """One object, a cat where it is hit and a dog where it is not, and one component."""
    box = [0, 0, 10, 10] if hit else [15, 15, 20, 20]
    component = {"cluster": 0, "area": 25, "score": 0.5, "box": box, "inner_box": box}
    truth = {"boxes": [[0, 0, 10, 11]], "classes": ["cat" if hit else "dog"], "hard": [hard]}
    known = {"balance": 0.5, "coherence": 0.5, "stability": None}
    sizes = {"width": 30, "height": 30, "k": 5, "clusters": 1, "inertia": 1.0}
    return sizes | {"image_id": f"{number:06}", "box": box, "components": [component], "truth": truth, "map": known}


def finished(run: Path, ks: tuple[int, ...] = (), **options: Any) -> Path:
    """Three images, of which the one box hits the first two; the third object is hard."""
    lines = [line(0, hit=True), line(1, hit=True), line(2, hit=False, hard=True)]
    config = {"evaluation": OPTIONS | options, "seed": 0}
    write_json(run / "run.json", {"status": "ok", "config": config, "ks": ks or [5]})
    for folder in [run / f"k{k}" for k in ks] or [run]:
        write_whole(folder / "predictions.jsonl", "".join(json.dumps(one) + "\n" for one in lines))
    return run


def test_a_run_is_scored_with_its_own_options_byte_for_byte(tmp_path: Path) -> None:
    run = finished(tmp_path)
    (scores,) = evaluate(RunFolder(run)).values()
    assert scores["corloc"]["value"] == scores["nave"]["value"] == pytest.approx(200 / 3)
    assert scores["balance"]["value"] == 50.0
    assert "stability" not in scores
    before = (run / "metrics.json").read_bytes()
    evaluate(RunFolder(run))
    assert (run / "metrics.json").read_bytes() == before


def test_every_k_is_scored(tmp_path: Path) -> None:
    assert list(evaluate(RunFolder(finished(tmp_path, ks=(10, 3))))) == ["k3", "k10"]


def test_other_options_are_shown_and_not_written(tmp_path: Path) -> None:
    run = finished(tmp_path)
    (scores,) = evaluate(RunFolder(run), ["hard=false", "per_class=true"]).values()
    assert (scores["corloc"]["value"], scores["corloc"]["images"]) == (100.0, 2)
    assert scores["corloc/cat"]["value"] == 100.0
    assert not (run / "metrics.json").exists()


def test_the_command_line_scores_several_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = [str(finished(tmp_path / name)) for name in "ab"]
    assert main([*runs, "--set", "iou=0.95"]) == 0
    out = capsys.readouterr().out
    assert out.count("corloc") == 2
    assert "0.0 (0.0 to 56.1)" in out  # no hit in three images, by Wilson


@pytest.mark.parametrize(
    ("option", "message"), [("nonsense=1", "options are iou, hard"), ("iou=much", "option iou=much: ")]
)
def test_an_unknown_option_is_reported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], option: str, message: str
) -> None:
    assert main([str(finished(tmp_path)), "--set", option]) == 1
    assert message in capsys.readouterr().err


def test_a_folder_that_holds_no_run_is_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path)]) == 1
    assert "is it the folder of a finished run?" in capsys.readouterr().err
