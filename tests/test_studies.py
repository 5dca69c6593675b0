"""The studies in experiments/: from training to table, and the figures of tables."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from experiments import study

ROOT = Path(__file__).parents[1]


def test_all_of_the_papers_questions_are_there():
    expected = {"training_set", "missing_class", "architecture", "scheme", "watermark", "registers", "k_and_layers"}
    assert {path.parent.name for path in (ROOT / "experiments").glob("*/study.py")} == expected


def test_lines_have_intervals_over_seeds_and_differences_pair_them():
    with_mark, without = (
        [{("mask_overlap", "any"): {"a": x, "b": x}} for x in shares] for shares in ((0.5, 0.9), (0.2, 0.6))
    )
    ours, theirs = study.lines({"marked": with_mark, "control": without}, {"overlap": ("mask_overlap", "any")})
    assert ours.seeds == {"overlap": [50, 90]}
    gain = study.differences(ours, theirs).scores["overlap"]
    assert gain == {"value": 30, "low": None, "high": None, "images": 2}  # both seeds agree, which proves nothing
    text = study.table([ours, theirs])
    assert "| marked | 70.0 (-184.1 to 324.1); 50, 90 |" in text


@pytest.mark.slow
@pytest.mark.parametrize("name", ["watermark", "missing_class", "scheme"])
def test_a_study_on_drawn_shapes_runs_from_training_to_table(name, tmp_path):
    small = ("--seeds", "2", "--epochs", "1", "--images", "10", "--output", str(tmp_path / "study"))
    subprocess.run([sys.executable, "-m", f"experiments.{name}.study", *small], check=True, cwd=ROOT, timeout=500)
    outcome = json.loads((tmp_path / "study" / "outcome.json").read_text())
    assert len(outcome) >= 3
    for suffix in ("outcome.md", "figure.png", "figure.pdf", "maps.png"):
        assert (tmp_path / "study" / suffix).stat().st_size > 0
