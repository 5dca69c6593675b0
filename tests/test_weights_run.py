"""Files of weights in runs and sweeps: each is a training of its own, by its name, wherever runs are told apart."""

import csv
from collections.abc import Sequence
from pathlib import Path

import pytest
import timm
import torch

from nave.report.page import write_report
from nave.runs.labels import distinguished
from nave.runs.reader import read_runs, runs_at_k
from tests.helpers.running import into, nave_run, nave_sweep, photographs, record
from tests.helpers.wandb_offline import read

pytestmark = [
    pytest.mark.usefixtures("unchecked"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning"),  # W&B's
]


def weights(path: Path, seed: int) -> Path:
    torch.manual_seed(seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"state_dict": timm.create_model("tf_efficientnet_lite0", num_classes=3).state_dict()}, path)
    return path


def shown(folder: Path) -> list[str]:
    return sorted({run.settings["training"] for run in distinguished(runs_at_k(read_runs([folder])))})


def sweep(root: Path, files: Sequence[Path], *options: str) -> dict[str, dict[str, str]]:
    """Two files, offline in W&B: the lines of summary.csv by the job."""
    chosen = f"weights={','.join(map(str, files))}"
    quick = (*photographs(root, 1), chosen, "training=imagenet1k", "loader.limit=1", "overlays=0", *options)
    assert nave_sweep(root / "sweep", *quick) == 0
    with (root / "sweep" / "summary.csv").open() as file:
        return {row["job"]: row for row in csv.DictReader(file)}


def test_two_files_are_two_lines_everywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    files = [weights(tmp_path / f"{name}.pth", seed) for seed, name in enumerate(("first", "second"))]
    rows = sweep(tmp_path, files, "logger=wandb", "logger.images=0")
    names = ["first", "second"]
    assert sorted(row["training"] for row in rows.values()) == names
    for job, row in rows.items():
        assert job == row["training"]
        folder = tmp_path / "sweep" / job
        found = record(folder)
        assert (found["training"], found["scheme"]) == (row["training"], "imagenet1k")
        assert found["weights"] == f"file {row['training']}.pth [state_dict]"
        (logged,) = (read(run).run for run in (folder / "wandb").glob("offline-run-*"))
        assert (logged.display_name, logged.run_group) == (job, "sweep")
        (config,) = (read(run).config for run in (folder / "wandb").glob("offline-run-*"))
        assert config["encoder"] == f"efficientnet_lite0-{row['training']}"
        assert (config["training"], config["run"]["training"]) == (row["training"], row["training"])
    assert shown(tmp_path / "sweep") == names
    out = capsys.readouterr().out
    assert "training" in (tmp_path / "sweep" / "summary.md").read_text().splitlines()[0]
    assert "| first |" in (tmp_path / "sweep" / "summary.md").read_text()
    assert all(f"(training {name}, file {name}.pth [state_dict])" in out for name in names)
    page = write_report(tmp_path / "sweep").read_text()
    assert '"training": ["first", "second"]' in page or '"training":["first","second"]' in page


def test_files_of_one_name_in_two_folders_are_two_lines(tmp_path: Path) -> None:
    files = [weights(tmp_path / folder / "last.pth", seed) for seed, folder in enumerate(("one", "two"))]
    rows = sweep(tmp_path, files)
    assert sorted(row["training"] for row in rows.values()) == ["one/last", "two/last"]
    assert all(job == row["training"].replace("/", "_") for job, row in rows.items())
    assert shown(tmp_path / "sweep") == ["one/last", "two/last"]


def test_a_name_of_ones_own_and_the_stem_by_default(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = weights(tmp_path / "a=b" / "mine.pth", 0)
    common = (*photographs(tmp_path, 1), f'weights="{file}"', "training=imagenet1k", "overlays=0")
    assert nave_run(*common, into(tmp_path / "run")) == 0
    assert record(tmp_path / "run")["training"] == "mine"
    called = (*common, "training_name=best", "skip_existing=true", f"outputs={tmp_path}", into(tmp_path / "called"))
    assert nave_run(*called) == 0
    assert [record(tmp_path / "called")[key] for key in ("training", "same_as")] == ["best", str(tmp_path / "run")]
    assert nave_run(*common, "weights_key=nothing", into(tmp_path / "refused")) == 1
    assert "weights_key=nothing: nothing of that name in file mine.pth; it has state_dict" in capsys.readouterr().out
    assert nave_run(*photographs(tmp_path, 1), "weights_key=teacher", into(tmp_path / "random")) == 1
    assert "weights_key=teacher chooses from a file" in capsys.readouterr().out
