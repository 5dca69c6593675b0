import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nave.loggers.review import default_mode
from tests.loggers.offline import OfflineRun, read
from tests.running import into, nave_run, nave_sweep, photographs, record, voc

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")


@pytest.fixture(autouse=True)
def no_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WANDB_API_KEY", "WANDB_MODE", "WANDB_BASE_URL", "WANDB_DATA_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))


def offline(run: Path) -> tuple[OfflineRun, Path]:
    (folder,) = (run / "wandb").glob("offline-run-*")
    return read(folder), folder / "files"


def test_a_run_is_logged_offline_with_all_that_a_review_needs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    wanted = ["k=[2,3]", "logger=wandb", "logger.images=4", "logger.wandb.artifact=true"]
    assert nave_run(*voc(tmp_path, 6), *wanted, into(run)) == 0
    found, files = offline(run)
    assert f"wandb sync {files.parent}" in capsys.readouterr().out
    assert (found.run.project, found.run.display_name, found.run.run_group) == ("nave", "run", "")
    assert (found.run.job_type, found.exit_code) == ("explain", 0)
    assert {key: found.config[key] for key in ("k", "training")} == {"k": [2, 3], "training": "random"}
    assert found.config["run"]["data_sha256"] == record(run)["data_sha256"]
    scores = {k: json.loads((run / f"k{k}" / "metrics.json").read_text()) for k in (2, 3)}
    rows = {row["k"]: row for row in found.history if "corloc" in row}
    for k in (2, 3):
        assert rows[k]["corloc"] == found.summary[f"k{k}/corloc"] == scores[k]["corloc"]["value"]
        assert rows[k]["corloc_low"] == scores[k]["corloc"]["low"]
    assert {"seconds/encoder", "images_per_second", "unreadable"} <= found.summary.keys()
    assert {"k2/predictions.jsonl", "run.json"} & set(found.artifacts["run"])
    assert not any("wandb" in path for path in found.artifacts["run"])


def test_pictures_carry_maps_masks_and_boxes(tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert nave_run(*voc(tmp_path, 6), "k=[2,3]", "logger=wandb", "logger.images=6", into(run)) == 0
    found, files = offline(run)
    last = found.history[-1]
    shown = {key.split("/")[0] for key in last if key.endswith("/path") and not key.startswith("images")}
    assert shown <= {"worst", "best", "random"}
    (name,) = {key.rpartition("/masks/")[0] for key in last if key.startswith(("worst", "best", "random"))} & {
        f"{group}/000000" for group in ("worst", "best", "random")
    }
    for k in (2, 3):
        with (
            Image.open(files / last[f"{name}/masks/k={k}/path"]) as mask,
            Image.open(run / f"k{k}" / "maps" / "000000.png") as labels,
        ):
            assert np.array_equal(np.asarray(mask), np.asarray(labels))
    with Image.open(files / last[f"{name}/masks/truth/path"]) as mask:
        assert set(np.unique(np.asarray(mask))) == {0, 8, 255}
    boxes = json.loads((files / last[f"{name}/boxes/truth/path"]).read_text())
    (box,) = boxes["box_data"]
    assert box["position"] == {"minX": 4 / 40, "maxX": 20 / 40, "minY": 2 / 30, "maxY": 18 / 30}
    assert boxes["class_labels"] == {"0": "cat"}
    line = json.loads((run / "k3" / "predictions.jsonl").read_text().splitlines()[0])
    chosen = json.loads((files / last[f"{name}/boxes/chosen, k=3/path"]).read_text())
    assert chosen["box_data"][0]["position"]["maxX"] == line["box"][2] / 40
    components = json.loads((files / last[f"{name}/boxes/components, k=3/path"]).read_text())
    assert [box["scores"]["score"] for box in components["box_data"]] == [c["score"] for c in line["components"]]


def test_the_table_has_all_images_the_worst_first(tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert nave_run(*voc(tmp_path, 5), "logger=wandb", "logger.images=2", into(run)) == 0
    _, files = offline(run)
    (path,) = (files / "media" / "table").glob("*.json")
    table = json.loads(path.read_text())
    assert table["columns"][:5] == ["picture", "image_id", "group", "k", "iou"]
    overlaps = [row[4] for row in table["data"]]
    assert len(overlaps) == 5
    assert overlaps == sorted(overlaps)
    assert sum(row[0] is not None for row in table["data"]) == 2


def test_jobs_of_a_sweep_are_runs_of_one_group(tmp_path: Path) -> None:
    folder = tmp_path / "sweep"
    assert nave_sweep(folder, *photographs(tmp_path, 2), "k=2,0", "logger=wandb", "logger.images=1") == 1
    runs = {path.parent.name: offline(path.parent)[0] for path in folder.glob("*/run.json")}
    assert {found.run.run_group for found in runs.values()} == {"sweep"}
    assert {name: found.run.display_name for name, found in runs.items()} == {name: name for name in runs}
    assert sorted(found.exit_code or 0 for found in runs.values()) == [0, 1]
    (failed,) = (found for found in runs.values() if found.exit_code)
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
