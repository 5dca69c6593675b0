from pathlib import Path
from typing import Any

import pytest

from nave.runs.layout import RunFolder, write_json, write_whole
from nave.runs.resume import ConflictingResultsError, check_same, matching_run, reuse_results

FOLDER = RunFolder(Path("run"))


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
    ("now", "difference"),
    [
        (config(k=[2, 4]), r"k was \[2, 3\], is \[2, 4\]"),
        (config(trainer={"devices": 1, "precision": "bf16-mixed"}), "trainer.precision was '32-true'"),
        (config(stability=3), "stability was None, is 3"),
        (run_record(weights_sha256="c"), "weights_sha256 was 'a', is 'c'"),
        (run_record(data_sha256="c"), "data_sha256 was 'b', is 'c'"),
    ],
)
def test_all_else_is_refused(now: dict[str, Any], difference: str) -> None:
    with pytest.raises(ConflictingResultsError, match=difference):
        check_same(run_record(), now, FOLDER)


def test_a_run_that_ended_before_it_read_its_data_does_not_matter() -> None:
    record = run_record(status="failed")
    with pytest.raises(ConflictingResultsError):
        check_same(record, config(seed=1), FOLDER)
    del record["data_sha256"]
    check_same(record, config(seed=1), FOLDER)
    with pytest.raises(ConflictingResultsError):
        check_same(record | {"status": "ok"}, config(seed=1), FOLDER)


def written(path: Path, **changes: Any) -> RunFolder:
    folder = RunFolder(path)
    write_json(folder.record, run_record(**changes))
    write_whole(folder.at(2, [2]).map("a"), "map")
    write_whole(path / "wandb" / "offline", "log")
    return folder


def test_only_a_complete_run_of_the_same_matches(tmp_path: Path) -> None:
    written(tmp_path / "failed", status="failed")
    written(tmp_path / "other", weights_sha256="c")
    assert matching_run(RunFolder(tmp_path / "new"), run_record(), tmp_path) is None
    job = written(tmp_path / "sweep" / "job")
    assert matching_run(RunFolder(tmp_path / "new"), run_record(), tmp_path) == job
    assert matching_run(job, run_record(), Path("nowhere")) == job


def test_results_are_reused_without_their_logs(tmp_path: Path) -> None:
    source = written(tmp_path / "source", logged=["wandb"])
    record = reuse_results(source, RunFolder(tmp_path / "new"))
    assert (record["same_as"], record["logged"], record["status"]) == (str(source.path), [], "ok")
    assert [str(path.relative_to(tmp_path / "new")) for path in (tmp_path / "new").rglob("*.png")] == ["maps/a.png"]
    assert not (tmp_path / "new" / "wandb").exists()
    assert (tmp_path / "new" / "maps" / "a.png").stat().st_nlink == 2
    assert reuse_results(source, source)["logged"] == ["wandb"]


def test_results_are_copied_where_there_are_no_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.link", lambda *_: (_ for _ in ()).throw(OSError("no links here")))
    reuse_results(written(tmp_path / "source"), RunFolder(tmp_path / "new"))
    assert (tmp_path / "new" / "maps" / "a.png").read_text() == "map"
