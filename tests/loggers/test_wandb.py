import csv
import json
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nave.diff import main
from nave.loggers.interface import select_examples
from nave.loggers.wandb import listed
from nave.loggers.wandb_mode import default_mode, sync_command
from nave.runs.sweep import report
from tests.helpers.running import QUICK, into, nave_run, nave_sweep, photographs, record, voc
from tests.helpers.wandb_offline import OfflineRun, read

pytestmark = [
    pytest.mark.usefixtures("unchecked"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning"),
]


def without_key(patch: pytest.MonkeyPatch, home: Path) -> None:
    for name in ("WANDB_API_KEY", "WANDB_MODE", "WANDB_BASE_URL", "WANDB_DATA_DIR"):
        patch.delenv(name, raising=False)
    patch.setenv("NETRC", str(home / "netrc"))


@pytest.fixture(autouse=True)
def no_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without_key(monkeypatch, tmp_path)


def offline(run: Path) -> tuple[OfflineRun, Path]:
    (found,) = offline_at_each_k(run)
    return found


def offline_at_each_k(run: Path) -> list[tuple[OfflineRun, Path]]:
    found = [(read(folder), folder / "files") for folder in (run / "wandb").glob("offline-run-*")]
    return sorted(found, key=lambda pair: str(pair[0].config["k"]))


@dataclass(frozen=True)
class Logged:
    run: Path
    printed: str
    at_k: dict[int, tuple[OfflineRun, Path]]


@pytest.fixture(scope="module")
def logged(tmp_path_factory: pytest.TempPathFactory) -> Logged:
    """Six images under two K, four of them with pictures."""
    root = tmp_path_factory.mktemp("logged")
    wanted = ["k=[2,3]", "logger=wandb", "logger.images=4", "logger.wandb.artifact=true"]
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(StringIO()) as output:
        without_key(patch, root)
        assert nave_run(*voc(root, 6), *wanted, into(root / "run")) == 0
    runs = offline_at_each_k(root / "run")
    return Logged(root / "run", output.getvalue(), {2: runs[0], 3: runs[1]})


def test_a_diff_logs_its_page_and_its_tables_beside_the_runs(tmp_path: Path, capsys) -> None:
    diff = tmp_path / "diff"
    assert main([*QUICK, "seed=0,1", "logger=wandb", "logger.images=0", *voc(tmp_path), "--output", str(diff)]) == 0
    ((run, files),) = [(read(folder), folder / "files") for folder in (diff / "wandb").glob("offline-run-*")]
    assert (run.run.job_type, run.run.run_group, run.run.display_name, run.exit_code) == ("diff", "diff", "diff", 0)
    (job,) = (diff / "seed=0").glob("wandb/offline-run-*")
    assert read(job).run.run_group == "diff"
    logged = run.history[-1]
    assert (files / logged["page/path"]).read_bytes() == (diff / "report.html").read_bytes()
    images, figures = (json.loads((files / logged[f"{name}/path"]).read_text()) for name in ("images", "figures"))
    with (diff / "images.csv").open() as file:
        assert [dict(zip(images["columns"], map(str, line), strict=True)) for line in images["data"]] == [
            {key: value or "None" if key == "noise" else value for key, value in line.items()}
            for line in csv.DictReader(file)
        ]
    assert len(figures["data"]) == len(json.loads((diff / "diff.json").read_text())["rows"])
    assert f"wandb sync {files.parent} {diff}/*/wandb/offline-run-*" in capsys.readouterr().out


def test_every_k_is_logged_offline_with_all_that_a_review_needs(logged: Logged) -> None:
    for k, (run, files) in logged.at_k.items():
        assert str(files.parent) in logged.printed.partition("to upload: wandb sync ")[2]
        assert (run.run.project, run.run.display_name, run.run.run_group) == ("nave", f"run-k{k}", "run")
        assert (run.run.job_type, run.exit_code) == ("explain", 0)
        assert {key: run.config[key] for key in ("k", "training")} == {"k": k, "training": "random"}
        assert (list(run.run.tags), run.config["run"]["status"]) == (["efficientnet_lite0", "random", "voc07"], "ok")
        assert run.history[0]["k"] == run.summary["k"] == k
        assert run.config["encoder"] == "efficientnet_lite0-random"
        assert run.config["run"]["data_sha256"] == record(logged.run)["data_sha256"]
        scores = json.loads((logged.run / f"k{k}" / "metrics.json").read_text())
        assert run.summary["corloc"] == scores["corloc"]["value"]
        assert run.summary["corloc_low"] == scores["corloc"]["low"]
        assert run.summary["seconds/total"] == record(logged.run)["seconds"]["total"]
        assert {"seconds/encoder", "images_per_second", "unreadable"} <= run.summary.keys()
    assert {"k2/predictions.jsonl", "run.json"} <= set(logged.at_k[2][0].artifacts["run"])
    assert not any("wandb" in path for path in logged.at_k[2][0].artifacts["run"])
    assert "run" not in logged.at_k[3][0].artifacts


def test_pictures_carry_maps_masks_and_boxes(logged: Logged) -> None:
    run, files = logged.at_k[3]
    last = run.history[-1]
    shown = sorted(key.removesuffix("/path") for key in last if key.count("/") == 2 and key.endswith("/path"))
    assert shown == ["best/01", "random/01", "random/02", "worst/01"]
    name = next(name for name in shown if f"{name}/masks/truth/path" in last)  # every second image has a true mask
    image_id = last[f"{name}/caption"].split()[0]
    with (
        Image.open(files / last[f"{name}/masks/clusters/path"]) as mask,
        Image.open(logged.run / "k3" / "maps" / f"{image_id}.png") as labels,
    ):
        assert np.array_equal(np.asarray(mask), np.asarray(labels))
    with Image.open(files / last[f"{name}/masks/truth/path"]) as mask:
        assert set(np.unique(np.asarray(mask))) == {0, 8, 255}
    boxes = json.loads((files / last[f"{name}/boxes/truth/path"]).read_text())
    (box,) = boxes["box_data"]
    assert box["position"] == {"minX": 4 / 40, "maxX": 20 / 40, "minY": 2 / 30, "maxY": 18 / 30}
    assert boxes["class_labels"] == {"0": "cat"}
    lines = map(json.loads, (logged.run / "k3" / "predictions.jsonl").read_text().splitlines())
    line = next(line for line in lines if line["image_id"] == image_id)
    *components, chosen = json.loads((files / last[f"{name}/boxes/boxes/path"]).read_text())["box_data"]
    assert (chosen["box_caption"], chosen["position"]["maxX"]) == ("chosen", line["box"][2] / 40)
    assert [box["scores"]["score"] for box in components] == [c["score"] for c in line["components"]]


def test_overlays_have_names_in_the_configuration_which_is_sent_once(logged: Logged) -> None:
    run, files = logged.at_k[3]
    masks, boxes = (run.config["_wandb"][f"{kind}/class_labels"] for kind in ("mask", "bounding_box"))
    names = masks["worst/01_wandb_delimeter_clusters"]["value"]
    assert names == {str(cluster): f"cluster {cluster}" for cluster in range(3)}
    assert "chosen" in boxes["worst/01_wandb_delimeter_boxes"]["value"].values()
    log = (files.parent / "logs" / "debug.log").read_text()
    assert sum("mask/class_labels" in line for line in log.splitlines()) == 1


def test_pictures_are_few_and_small(logged: Logged) -> None:
    run, files = logged.at_k[3]
    pictures = [path for path in files.rglob("*") if path.suffix in (".jpg", ".png")]
    truths = sum(key.endswith("/masks/truth/path") for key in run.history[-1])
    assert len(pictures) == 4 * 2 + truths
    staged = [entry for entries in run.artifacts.values() for entry in entries if entry.endswith(".png")]
    assert not [path for path in staged if "mask" in path]


def test_concepts_have_a_table_of_their_own(logged: Logged) -> None:
    (path,) = (logged.at_k[2][1] / "media" / "table").glob("concepts*.json")
    assert [row[1] for row in json.loads(path.read_text())["data"]] == [0, 1]


def test_the_table_has_all_images_the_worst_first(logged: Logged) -> None:
    (path,) = (logged.at_k[2][1] / "media" / "table").glob("images*.json")
    table = json.loads(path.read_text())
    assert table["columns"][:5] == ["picture", "image_id", "gallery", "k", "iou"]
    assert [row[2] for row in table["data"] if row[2].startswith(("worst", "best"))] == ["worst/01", "best/01"]
    overlaps = [row[4] for row in table["data"]]
    assert len(overlaps) == 6
    assert overlaps == sorted(overlaps)
    assert sum(row[0] is not None for row in table["data"]) == 4


def test_the_table_of_a_large_run_has_some_images_and_all_with_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    overlaps = {str(number): None if number % 7 == 0 else number % 10 / 10 for number in range(100)}
    assert [*listed(overlaps, 0)] == [*overlaps]
    monkeypatch.setattr("nave.loggers.wandb.MOST_ROWS", 50)
    assert len(listed(overlaps, 0)) == 50
    assert {*select_examples(overlaps, 20, 0)} <= {*listed(overlaps, 0)}


def test_jobs_that_differ_in_k_keep_a_wandb_run_each(tmp_path: Path) -> None:
    folder = tmp_path / "sweep"
    assert nave_sweep(folder, *photographs(tmp_path, 2), "k=2,3", "logger=wandb", "logger.images=1") == 0
    (job,) = (path.parent for path in folder.glob("*/run.json"))
    names = [run.run.display_name for run, _ in offline_at_each_k(job)]
    assert names == [job.name.replace("k2+3", f"k{k}") for k in (2, 3)]


def _mark_as_uploaded(folder: Path) -> None:
    """As ``wandb sync`` does."""
    for path in folder.glob("*/wandb/offline-run-*/*.wandb"):
        path.with_suffix(".wandb.synced").touch()


@pytest.mark.parametrize(("k", "number"), [("auto", None), ("4", 4)])
def test_k_is_a_number_or_none(tmp_path: Path, k: str, number: int | None) -> None:
    assert nave_run(*photographs(tmp_path, 1), f"k={k}", "logger=wandb", "logger.images=0", into(tmp_path / "run")) == 0
    (run, _) = offline(tmp_path / "run")
    assert run.config["k"] == number


def test_jobs_of_a_sweep_are_runs_of_one_group(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "sweep"
    assert nave_sweep(folder, *photographs(tmp_path, 2), "k=2,0", "logger=wandb", "logger.images=1") == 1
    runs = {path.parent.name: offline(path.parent)[0] for path in folder.glob("*/run.json")}
    assert {run.run.run_group for run in runs.values()} == {"sweep"}
    assert {name: run.run.display_name for name, run in runs.items()} == {name: name for name in runs}
    assert sorted(run.exit_code or 0 for run in runs.values()) == [0, 1]
    (failed,) = (run for run in runs.values() if run.exit_code)
    assert "k=0" in failed.summary["error"]
    assert sorted(run.config["run"]["status"] for run in runs.values()) == ["failed", "ok"]
    _says_once_how_to_upload_all(folder, capsys.readouterr().out)


def _says_once_how_to_upload_all(folder: Path, printed: str) -> None:
    line = f"wandb sync {folder}/*/wandb/offline-run-*"
    assert (printed.count("wandb sync"), printed.count(line)) == (1, 1)
    assert report(folder)[1].endswith(line)
    _mark_as_uploaded(folder)
    assert sync_command(folder) == ""


def test_a_run_is_logged_once(tmp_path: Path) -> None:
    run = tmp_path / "run"
    for _ in range(2):
        assert nave_run(*photographs(tmp_path, 1), "logger=wandb", "skip_existing=true", into(run)) == 0
    offline(run)
    assert record(run)["logged"] == ["wandb"]


@pytest.mark.parametrize(
    ("netrc", "key", "mode"),
    [
        (None, None, "offline"),
        ("machine another.host login user password secret", None, "offline"),
        ("machine api.wandb.ai login user password secret", None, "online"),
        (None, "a" * 40, "online"),
    ],
)
def test_only_a_key_makes_it_online(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, netrc: str | None, key: str | None, mode: str
) -> None:
    if netrc:
        (tmp_path / "netrc").write_text(netrc)
        (tmp_path / "netrc").chmod(0o600)
    if key:
        monkeypatch.setenv("WANDB_API_KEY", key)
    assert default_mode() == mode
