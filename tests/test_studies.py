"""The studies under experiments/: documented, and run by their one command."""

import json
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
STUDIES = sorted(path.parent.name for path in (ROOT / "experiments").glob("*/study.py"))


def test_all_of_the_papers_questions_are_there():
    expected = {"training-set", "missing-class", "architecture", "scheme", "watermark", "registers", "k-and-layers"}
    assert set(STUDIES) == expected


@pytest.mark.parametrize("name", STUDIES)
def test_a_readme_has_question_commands_and_outcome(name):
    text = (ROOT / "experiments" / name / "README.md").read_text(encoding="utf-8")
    for part in ("**Question.**", "**One CPU machine", f"experiments/{name}/study.py", "**A GPU cluster", "## Outcome"):
        assert part in text
    assert "|" in text.partition("## Outcome")[2], "the table of what came out is missing"


def test_lines_have_intervals_over_seeds_and_differences_pair_them():
    study = runpy.run_path(str(ROOT / "experiments" / "study.py"))
    with_mark, without = ([{("saturation", ""): {"a": x, "b": x}} for x in some] for some in ((0.5, 0.9), (0.2, 0.6)))
    ours, theirs = study["lines"]({"marked": with_mark, "control": without}, {"saturation": ("saturation", "")})
    assert ours.seeds == {"saturation": [50, 90]}
    gain = study["differences"](ours, theirs).scores["saturation"]
    assert gain == {"value": 30, "low": 30, "high": 30, "images": 2}
    text = study["table"]([ours, theirs])
    assert "| marked | 70.0 (-184.1 to 324.1); 50, 90 |" in text


@pytest.mark.slow
@pytest.mark.parametrize("name", ["watermark", "missing-class", "scheme"])
def test_a_study_on_drawn_shapes_runs_from_training_to_table(name, tmp_path):
    script = ROOT / "experiments" / name / "study.py"
    small = ("--seeds", "2", "--epochs", "1", "--images", "10", "--output", str(tmp_path / "study"))
    subprocess.run([sys.executable, str(script), *small], check=True, cwd=ROOT, timeout=500)
    outcome = json.loads((tmp_path / "study" / "outcome.json").read_text())
    assert len(outcome) >= 3
    for suffix in ("outcome.md", "figure.png", "figure.pdf", "maps.png"):
        assert (tmp_path / "study" / suffix).stat().st_size > 0
