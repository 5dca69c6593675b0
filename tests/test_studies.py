"""The studies in experiments/: from training to table, and the figures of tables."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from experiments import study
from tests.helpers.datasets import Thing, write_voc

ROOT = Path(__file__).parents[1]


def test_all_of_the_papers_questions_are_there():
    papers = {"training_set", "missing_class", "architecture", "scheme", "watermark", "registers", "k_and_layers"}
    assert {path.parent.name for path in (ROOT / "experiments").glob("*/study.py")} == {*papers, "one_box"}


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


@pytest.mark.slow
def test_the_study_of_the_one_box_runs_to_its_tables_and_pictures(tmp_path):
    """Few images: the trained encoder takes its packaged head, the random one has none."""
    write_voc(tmp_path, things={f"{number:06}": [Thing("cat", (5, 3, 30, 28))] for number in range(4)}, size=(60, 80))
    command = [sys.executable, "-m", "experiments.one_box.study", "--data", "voc07", "--models", "efficientnet_lite0"]
    output = tmp_path / "study"
    environment = os.environ | {"NAVE_DATA": str(tmp_path)}
    subprocess.run([*command, "--output", str(output)], check=True, cwd=ROOT, env=environment, timeout=500)
    parts = json.loads((output / "outcome.json").read_text())
    assert [len(part) for part in parts.values()] == [9, 14, 2, 22, 4]
    for name in ("outcome.md", "figure.png", "images_1.png"):
        assert (output / name).stat().st_size > 0
    assert (output / "pictures.txt").read_text().count(" -> ") >= 4
