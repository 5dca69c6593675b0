"""python -m nave.compare on runs in the real format."""

import csv
import json
import shutil

import numpy as np
import pytest

from nave.compare import main
from nave.comparison import rows as comparison
from nave.comparison.pictures import chosen_runs
from nave.runs.files import write_json
from nave.runs.layout import RunFolder
from nave.runs.reader import Run
from nave.runs.scoring import evaluate
from tests.helpers.pages import CLASSES, write_centroids, write_lines, write_run

STAMP = [2, 3, 30, 40]

pytestmark = pytest.mark.usefixtures("unchecked")


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Two encoders under two K; the second's images are stamped."""
    root = tmp_path_factory.mktemp("runs")
    for training in ("random", "default"):
        write_run(root / training, ks=(3, 5), overrides={"training": training, "model.name": "resnet18"})
    for run in Run.read(root / "default").at_k:
        lines = list(run.lines.values())
        for line in lines:
            write_centroids(run.results, line["image_id"], np.random.default_rng(0).normal(size=(line["k"], 4)))
            line["watermark"] = STAMP
        write_lines(run.results, lines)
    return root / "random", root / "default"


@pytest.fixture(scope="module")
def written(runs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("comparison")
    assert main([*map(str, runs), "--output", str(folder)]) == 0
    return folder


def rows(folder, **wanted):
    content = json.loads((folder / "comparison.json").read_text())
    return [row for row in content if all(row[key] == value for key, value in wanted.items())]


def test_all_files_are_written_and_agree(written):
    assert {path.name for path in written.iterdir()} == {
        *("comparison.json", "comparison.csv", "comparison.pdf", "comparison.png", "maps.pdf", "maps.png")
    }
    with (written / "comparison.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert [line["quantity"] for line in lines] == [row["quantity"] for row in rows(written)]
    assert [float(line["value"]) for line in lines] == [row["value"] for row in rows(written)]


def test_equal_maps_agree_in_full_and_do_not_differ(written):
    for quantity in ("ari", "matched_iou"):
        agreements = rows(written, quantity=quantity)
        assert [row["k"] for row in agreements] == ["3", "5"]
        assert all(row["value"] == 100 and row["images"] == 3 for row in agreements)
        assert all(row["against"] == "random" and row["run"] == "imagenet1k" for row in agreements)
    differences = [row for row in rows(written, against="random") if row["quantity"] == "box_overlap"]
    assert {row["value"] for row in differences} == {0}


def test_every_class_and_any_object_are_measured(written):
    shares = rows(written, quantity="box_found", k="3", run="imagenet1k", against="")
    assert {row["concept"] for row in shares} == {*CLASSES, "any"}
    assert {row["concept"]: row["value"] for row in shares}["any"] == pytest.approx(200 / 3, abs=1e-3)


def test_an_unstamped_run_is_measured_at_the_place_of_the_watermark(written):
    overlaps = rows(written, quantity="watermark_overlap", k="3", against="")
    assert {row["run"]: row["value"] for row in overlaps}.keys() == {"random", "imagenet1k"}
    assert len({row["value"] for row in overlaps}) == 1
    assert [row["run"] for row in rows(written, quantity="watermark_inertia", k="3", against="")] == ["imagenet1k"]


def test_tables_show_figures_and_the_k_at_which_a_class_appears(runs, tmp_path, capsys):
    assert main([*map(str, runs), "--output", str(tmp_path), "--no-maps"]) == 0
    printed = " ".join(capsys.readouterr().out.split())  # titles wrap
    assert "saturation: the watermark has a cluster of its own" in printed
    assert "against random" in printed
    assert "in half of the images or more: at K" in printed
    assert not (tmp_path / "maps.png").exists()


def test_the_whole_comes_first_and_classes_are_shown_when_asked_for(runs, tmp_path, capsys):
    for flags, classes in ([], set()), (["--classes"], set(CLASSES)):
        assert main([*map(str, runs), "--output", str(tmp_path), "--no-maps", *flags]) == 0
        lines = [line for line in capsys.readouterr().out.splitlines() if "overlap of the best component" in line]
        concepts = [line.split("\u2502")[2].strip() for line in lines]
        assert concepts[0] == "any"
        assert set(concepts) == {"any", *classes}


def test_every_column_has_its_own_number_of_images(runs, tmp_path, capsys):
    fewer = tmp_path / "fewer"
    shutil.copytree(runs[0], fewer)
    for run in Run.read(fewer).at_k:
        write_lines(run.results, list(run.lines.values())[:2])
    evaluate(RunFolder(fewer))
    assert main([str(runs[1]), str(fewer), "--k", "3", "--output", str(tmp_path / "out"), "--no-maps"]) == 0
    lines = [
        line.split("\u2502")
        for line in capsys.readouterr().out.splitlines()
        if "fragmentation" in line or "largest component" in line
    ]
    assert [line[-2].strip() for line in lines] == ["3 / 2", "2"]  # of the runs, then of their difference


def write_baseline(folder):
    """The same images under LOST, which misses the first one."""
    node = {"_target_": "nave.localization.lost.Lost", "features": "tokens", "centred": True, "seeds": 100}
    write_run(folder, overrides={"localization": node, "model.name": "resnet18", "training": "random"})
    (at_k,) = Run.read(folder).at_k
    first, *others = ({**line, "k": None} for line in at_k.lines.values())
    write_lines(at_k.results, [{**first, "box": [0, 0, 2, 2]}, *others])
    record = json.loads((folder / "run.json").read_text())
    write_json(folder / "run.json", record | {"ks": [None]})
    evaluate(RunFolder(folder))
    return folder


def test_a_baseline_is_paired_with_every_k_and_has_no_nave_score(runs, tmp_path):
    lost = write_baseline(tmp_path / "lost")
    assert "nave" not in json.loads((lost / "metrics.json").read_text())
    for folders in ([runs[0], lost], [lost, runs[0]]):
        assert main([*map(str, folders), "--output", str(tmp_path), "--no-maps"]) == 0
        found = [row for row in rows(tmp_path, quantity="score", concept="corloc") if row["against"]]
        assert len(found) == 2
        assert {row["against"] for row in found} == (
            {"localization lost"} if folders[0] == lost else {"localization nave, K 3", "localization nave, K 5"}
        )
        gain = 100 / 3 if folders[0] == lost else -100 / 3
        assert [row["value"] for row in found] == pytest.approx([gain, gain], abs=1e-3)
        assert not [row for row in rows(tmp_path, concept="nave") if row["against"]]
        assert not [row for row in rows(tmp_path, quantity="ari") if row["against"]]


def test_one_k_can_be_chosen(runs):
    chosen = chosen_runs(runs, ["5"])
    assert {row.k for row in comparison.rows(chosen)} == {run.k for run in chosen} == {"5"}


def test_what_cannot_be_compared_is_refused(runs, tmp_path, capsys):
    other = write_run(tmp_path / "other", image_ids=("four",), overrides={"training": "random"})
    larger = write_run(tmp_path / "larger", size=(31, 37), overrides={"training": "random"})
    for arguments, message in (
        ([runs[0], "--k", "7"], "no run has K = 7: choose of 3, 5"),
        ([runs[0], other], "have no image in common: compare runs of the same images"),
        ([runs[0], larger], "one is two images, of"),
        ([tmp_path / "nothing"], "no run.json"),
        ([*runs, "--images", "four"], "no image 'four': the runs hold one, two, three."),
        ([*runs, "--images", "tow"], "the runs hold one, two, three. Did you mean two?"),
    ):
        assert main([*map(str, arguments), "--output", str(tmp_path / "out")]) == 1
        assert message in capsys.readouterr().err
