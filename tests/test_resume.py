from pathlib import Path
from typing import Any

import pytest

from nave.results import write_json, write_whole
from nave.resume import OtherResults, adopt, check_same, complete_twin

FOLDER = Path("run")


def run_record(**changes: Any) -> dict[str, Any]:
    config = {"k": [2, 3], "seed": 0, "trainer": {"devices": 1, "precision": "32-true"}, "logger": {}}
    return {"status": "ok", "config": config, "weights_sha256": "a", "data_sha256": "b"} | changes


def config(**changes: Any) -> dict[str, Any]:
    return run_record(config={**run_record()["config"], **changes})


@pytest.mark.parametrize(
    "now",
    [
        run_record(),
        config(logger={"wandb": {"images": 3}}),
        config(trainer={"devices": 8, "precision": "32-true"}),
        {"config": run_record()["config"]},  # nothing but the configuration is known yet
    ],
)
def test_what_changes_no_result_may_change(now: dict[str, Any]) -> None:
    check_same(run_record(), now, FOLDER)
    check_same(None, now, FOLDER)


@pytest.mark.parametrize(
    ("now", "told"),
    [
        (config(k=[2, 4]), r"k was \[2, 3\], is \[2, 4\]"),
        (config(trainer={"devices": 1, "precision": "bf16-mixed"}), "trainer.precision was '32-true'"),
        (config(stability=3), "stability was None, is 3"),
        (run_record(weights_sha256="c"), "weights_sha256 was 'a', is 'c'"),
        (run_record(data_sha256="c"), "data_sha256 was 'b', is 'c'"),
    ],
)
def test_all_else_is_refused(now: dict[str, Any], told: str) -> None:
    with pytest.raises(OtherResults, match=told):
        check_same(run_record(), now, FOLDER)


def test_a_run_that_ended_before_it_read_its_data_is_in_nobodys_way() -> None:
    record = run_record(status="failed")
    with pytest.raises(OtherResults):
        check_same(record, config(seed=1), FOLDER)
    del record["data_sha256"]
    check_same(record, config(seed=1), FOLDER)
    with pytest.raises(OtherResults):
        check_same(record | {"status": "ok"}, config(seed=1), FOLDER)


def written(folder: Path, **changes: Any) -> Path:
    write_json(folder / "run.json", run_record(**changes))
    write_whole(folder / "maps" / "a.png", "map")
    write_whole(folder / "wandb" / "offline", "log")
    return folder


def test_only_a_complete_run_of_the_same_is_a_twin(tmp_path: Path) -> None:
    written(tmp_path / "failed", status="failed")
    written(tmp_path / "other", weights_sha256="c")
    assert complete_twin(tmp_path / "new", run_record(), tmp_path) is None
    job = written(tmp_path / "sweep" / "job")
    assert complete_twin(tmp_path / "new", run_record(), tmp_path) == job
    assert complete_twin(job, run_record(), Path("nowhere")) == job


def test_results_are_adopted_without_their_logs(tmp_path: Path) -> None:
    twin = written(tmp_path / "twin", logged=["wandb"])
    record = adopt(twin, tmp_path / "new")
    assert (record["same_as"], record["logged"], record["status"]) == (str(twin), [], "ok")
    assert [str(path.relative_to(tmp_path / "new")) for path in (tmp_path / "new").rglob("*.png")] == ["maps/a.png"]
    assert not (tmp_path / "new" / "wandb").exists()
    assert (tmp_path / "new" / "maps" / "a.png").stat().st_nlink == 2
    assert adopt(twin, twin)["logged"] == ["wandb"]


def test_results_are_copied_where_there_are_no_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.link", lambda *_: (_ for _ in ()).throw(OSError("no links here")))
    adopt(written(tmp_path / "twin"), tmp_path / "new")
    assert (tmp_path / "new" / "maps" / "a.png").read_text() == "map"
