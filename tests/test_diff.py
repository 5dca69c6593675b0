"""python -m nave.diff: encoders that are explained in the test, and finished runs in the real format."""

import csv
import json
import re

import pytest
import torch

from nave.diff import main
from nave.report.page import write_report
from nave.runs.layout import RUN
from tests.helpers.pages import write_run
from tests.helpers.parts import encoder
from tests.helpers.running import QUICK, photographs, voc


def content(page, element="data"):
    return json.loads(re.search(rf'id="{element}">(.*)</script>', page.read_text())[1])


@pytest.fixture
def files(tmp_path):
    """Two files of weights of one network."""
    paths = [tmp_path / name for name in ("before.pth", "after, 2.pth")]
    for seed, path in enumerate(paths):
        torch.save(encoder("efficientnet_lite0", seed=seed).network.state_dict(), path)
    return [str(path) for path in paths]


@pytest.mark.slow
def test_two_files_and_a_folder_become_a_page_a_table_and_files(files, tmp_path, capsys):
    options = [option for option in QUICK if not option.startswith("training=")]
    (_, root), output = photographs(tmp_path), tmp_path / "diff"
    assert main([*files, *options, root, "--output", str(output)]) == 0
    printed = capsys.readouterr().out
    assert "agreement of maps, ARI" in printed
    assert "same encoder, other seed" in printed
    diff = json.loads((output / "diff.json").read_text())
    weights = [json.loads((output / place / RUN).read_text())["config"]["weights"] for place in diff["runs"]]
    assert weights == files  # in the order of the command line
    (pair,) = diff["pairs"]
    agreement = [image["ari"] for image in pair["images"]]
    assert agreement == sorted(agreement)
    assert all(image["noise"] is not None for image in pair["images"])
    with (output / "images.csv").open() as file:
        assert [float(line["ari"]) for line in csv.DictReader(file)] == agreement
    page = content(output / "report.html")
    assert [image["ari"] for image in page["diff"]["pairs"][0]["images"]] == agreement
    assert page["diff"]["steps"] == []
    written = (output / "report.html").read_bytes()
    assert write_report(output).read_bytes() == written  # nave.report knows the folder


@pytest.mark.slow
def test_scores_differ_in_pairs_where_there_is_ground_truth(tmp_path):
    output = tmp_path / "diff"
    assert main([*QUICK, "seed=0,1", *voc(tmp_path), "--output", str(output)]) == 0
    rows = json.loads((output / "diff.json").read_text())["rows"]
    gains = {row["concept"]: row for row in rows if row["quantity"] == "score" and row["against"]}
    own = {
        (row["run"], row["concept"]): row["value"] for row in rows if row["quantity"] == "score" and not row["against"]
    }
    assert {"nave", "corloc", "ap50", "ar100", "balance", "coherence"} <= gains.keys()
    for name, gain in gains.items():
        assert gain["value"] == pytest.approx(own[gain["run"], name] - own[gain["against"], name], abs=1e-3)


def test_the_steps_of_a_training_are_one_image_over_its_epochs(tmp_path):
    runs = []
    for number, name in enumerate(("tiny-epoch0", "tiny-step5", "tiny")):
        record = {"training": name}
        runs.append(write_run(tmp_path / str(number), overrides={"training": name}, record=record))
    assert main([*map(str, runs), "--output", str(tmp_path / "diff")]) == 0
    diff = json.loads((tmp_path / "diff" / "diff.json").read_text())
    assert diff["steps"] == ["epoch 0", "step 5", "final"]
    assert [(pair["before"], pair["after"]) for pair in diff["pairs"]] == [(0, 2), (0, 1), (1, 2)]
    page = (tmp_path / "diff" / "report.html").read_text()
    assert 'id="step"' in page
    assert "ARI: final step" in page


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["nowhere.pth", "data.root=photos"],
            "nowhere.pth is neither a file of weights, the folder of a run, nor key=",
        ),
        (["model=vits14", "data.root=photos"], "nothing to compare: name two files or more"),
        (["training=default", "k=3,5"], "training=default has no snapshots"),
    ],
)
def test_what_cannot_be_compared_is_refused_before_the_work(arguments, message, capsys):
    assert main(arguments) == 1
    assert message in capsys.readouterr().err


def test_of_a_training_that_is_not_there_the_nearest_is_meant(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "outputs" / "encoders").mkdir(parents=True)
    (tmp_path / "outputs" / "encoders" / "mine-epochs_1-seed0.safetensors").touch()
    assert main(["training=mine-seed0"]) == 1
    assert capsys.readouterr().err.endswith("finished runs. Did you mean training=mine-epochs_1-seed0?\n")


def test_a_file_needs_its_network(files, capsys):
    assert main([*files, "data.root=photos"]) == 1
    assert "before.pth does not say which network it belongs to: add model=NAME (convnext_t" in capsys.readouterr().err


def test_one_run_is_not_enough(tmp_path, capsys):
    assert main([str(write_run(tmp_path / "run")), "--output", str(tmp_path / "diff")]) == 1
    assert "1 finished run: a diff needs two or more" in capsys.readouterr().err
