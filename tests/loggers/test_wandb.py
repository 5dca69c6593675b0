import json
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nave.loggers.wandb import default_mode
from tests.helpers.running import into, nave_run, nave_sweep, photographs, record, voc
from tests.helpers.wandb_offline import OfflineRun, read

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")


def without_key(patch: pytest.MonkeyPatch, home: Path) -> None:
    for name in ("WANDB_API_KEY", "WANDB_MODE", "WANDB_BASE_URL", "WANDB_DATA_DIR"):
        patch.delenv(name, raising=False)
    patch.setenv("NETRC", str(home / "netrc"))


@pytest.fixture(autouse=True)
def no_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without_key(monkeypatch, tmp_path)


def offline(run: Path) -> tuple[OfflineRun, Path]:
    (folder,) = (run / "wandb").glob("offline-run-*")
    return read(folder), folder / "files"


@dataclass(frozen=True)
class Logged:
    run: Path
    printed: str
    offline: OfflineRun
    files: Path


@pytest.fixture(scope="module")
def logged(tmp_path_factory: pytest.TempPathFactory) -> Logged:
    """Six images under two K, four of them with pictures."""
    root = tmp_path_factory.mktemp("logged")
    wanted = ["k=[2,3]", "logger=wandb", "logger.images=4", "logger.wandb.artifact=true"]
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(StringIO()) as output:
        without_key(patch, root)
        assert nave_run(*voc(root, 6), *wanted, into(root / "run")) == 0
    return Logged(root / "run", output.getvalue(), *offline(root / "run"))


def test_a_run_is_logged_offline_with_all_that_a_review_needs(logged: Logged) -> None:
    run = logged.offline
    assert f"to upload: wandb sync {logged.files.parent}\n" in logged.printed
    assert (run.run.project, run.run.display_name, run.run.run_group) == ("nave", "run", "")
    assert (run.run.job_type, run.exit_code) == ("explain", 0)
    assert {key: run.config[key] for key in ("k", "training")} == {"k": [2, 3], "training": "random"}
    assert run.config["encoder"] == "efficientnet_lite0-random"
    assert run.config["run"]["data_sha256"] == record(logged.run)["data_sha256"]
    scores = {k: json.loads((logged.run / f"k{k}" / "metrics.json").read_text()) for k in (2, 3)}
    rows = {row["k"]: row for row in run.history if "corloc" in row}
    for k in (2, 3):
        assert rows[k]["corloc"] == run.summary[f"k{k}/corloc"] == scores[k]["corloc"]["value"]
        assert rows[k]["corloc_low"] == scores[k]["corloc"]["low"]
    assert {"seconds/encoder", "images_per_second", "unreadable"} <= run.summary.keys()
    assert {"k2/predictions.jsonl", "run.json"} <= set(run.artifacts["run"])
    assert not any("wandb" in path for path in run.artifacts["run"])


def test_pictures_carry_maps_masks_and_boxes(logged: Logged) -> None:
    last, files = logged.offline.history[-1], logged.files
    shown = sorted(key.removesuffix("/path") for key in last if key.count("/") == 2 and key.endswith("/path"))
    assert [name.split("/")[0] for name in shown] == ["best", "random", "random", "worst"]
    name = next(name for name in shown if int(name[-6:]) % 2 == 0)  # every second image has a true mask
    image_id = name.split("/")[1]
    for k in (2, 3):
        with (
            Image.open(files / last[f"{name}/masks/k={k}/path"]) as mask,
            Image.open(logged.run / f"k{k}" / "maps" / f"{image_id}.png") as labels,
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
    chosen = json.loads((files / last[f"{name}/boxes/chosen, k=3/path"]).read_text())
    assert chosen["box_data"][0]["position"]["maxX"] == line["box"][2] / 40
    components = json.loads((files / last[f"{name}/boxes/components, k=3/path"]).read_text())
    assert [box["scores"]["score"] for box in components["box_data"]] == [c["score"] for c in line["components"]]


def test_the_table_has_all_images_the_worst_first(logged: Logged) -> None:
    (path,) = (logged.files / "media" / "table").glob("*.json")
    table = json.loads(path.read_text())
    assert table["columns"][:5] == ["picture", "image_id", "group", "k", "iou"]
    overlaps = [row[4] for row in table["data"]]
    assert len(overlaps) == 6 * 2
    assert overlaps == sorted(overlaps)
    assert sum(row[0] is not None for row in table["data"]) == 4 * 2


def test_jobs_of_a_sweep_are_runs_of_one_group(tmp_path: Path) -> None:
    folder = tmp_path / "sweep"
    assert nave_sweep(folder, *photographs(tmp_path, 2), "k=2,0", "logger=wandb", "logger.images=1") == 1
    runs = {path.parent.name: offline(path.parent)[0] for path in folder.glob("*/run.json")}
    assert {run.run.run_group for run in runs.values()} == {"sweep"}
    assert {name: run.run.display_name for name, run in runs.items()} == {name: name for name in runs}
    assert sorted(run.exit_code or 0 for run in runs.values()) == [0, 1]
    (failed,) = (run for run in runs.values() if run.exit_code)
    assert "k=0" in failed.summary["error"]


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
