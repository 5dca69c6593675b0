import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from nave.data.content import files_of, meaning_of
from nave.data.folder import Folder
from nave.runs.files import write_json, write_whole
from nave.runs.layout import PLAN, RunFolder
from nave.runs.resume import ConflictingResultsError, check_same, matching_run, reuse_results
from tests.helpers.datasets import write_photograph
from tests.helpers.pages import line

FOLDER = RunFolder(Path("run"))


def run_record(**changes: Any) -> dict[str, Any]:
    config = {"k": [2, 3], "seed": 0, "trainer": {"devices": 1, "precision": "32-true"}, "logger": {}}
    known = {"versions": {"torch": "2.15.0", "lightning": "2.6"}, "code_sha256": "d", "engine": "factored"}
    counts = {"ks": [2], "images": 1, "total": 1}
    return {"status": "ok", "config": config, "weights_sha256": "a", "data_sha256": "b"} | known | counts | changes


def config(**changes: Any) -> dict[str, Any]:
    return run_record(config={**run_record()["config"], **changes})


@pytest.mark.parametrize(
    "now",
    [
        run_record(),
        config(logger={"wandb": {"images": 3}}),
        config(trainer={"devices": 8, "precision": "32-true"}),
        {"config": run_record()["config"]},  # nothing but the configuration is known yet
        run_record(versions={"torch": "2.15.0", "lightning": "2.7"}),
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
        (run_record(code_sha256="e"), "code_sha256 was 'd', is 'e'"),
        (run_record(versions={"torch": "2.16.0"}), r"versions.torch was '2.15.0', is '2.16.0'"),
        (run_record(engine="cuml 26.8.0"), "engine was 'factored', is 'cuml 26.8.0'"),
    ],
)
def test_all_else_is_refused(now: dict[str, Any], difference: str) -> None:
    with pytest.raises(ConflictingResultsError, match=difference):
        check_same(run_record(), now, FOLDER)


def test_results_of_code_that_did_not_identify_itself_are_refused() -> None:
    before = run_record()
    del before["code_sha256"]
    with pytest.raises(ConflictingResultsError, match="code_sha256 was None, is 'd'"):
        check_same(before, run_record(), FOLDER)


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
    results = folder.at(2, [2])
    results.map("a").parent.mkdir(parents=True)
    Image.new("P", (4, 3)).save(results.map("a"))
    write_whole(results.predictions, json.dumps(line("a", 0, 2, (30, 40), truth=False)) + "\n")
    write_json(results.metrics, {})
    write_whole(path / "wandb" / "offline", "log")
    return folder


def photographs(root: Path, *of: RunFolder) -> Folder:
    """One photograph, which the runs ``of`` have explained."""
    write_photograph(root / "photographs" / "a.png")
    dataset = Folder(root / "photographs")
    for run in of:
        content = files_of(dataset, 0) | meaning_of(dataset, 0)
        write_whole(run.data(), json.dumps({"index": 0, "image_id": "a", **content}) + "\n")
    return dataset


def test_only_a_complete_run_of_the_same_matches(tmp_path: Path) -> None:
    runs, new = tmp_path / "runs", RunFolder(tmp_path / "new")
    dataset = photographs(
        tmp_path, written(runs / "failed", status="failed"), written(runs / "other", weights_sha256="c")
    )
    assert matching_run(new, run_record(), runs, dataset) is None
    job = written(runs / "sweep" / "job")
    photographs(tmp_path, job)
    assert matching_run(new, run_record(), runs, dataset) == job
    assert matching_run(job, run_record(), Path("nowhere"), dataset) == job


def test_that_other_jobs_of_a_sweep_differ_is_no_news(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "nave.runs.resume")
    sweep = tmp_path / "runs" / "sweep"
    dataset = photographs(tmp_path, written(sweep / "k3", weights_sha256="c"))
    for plan in (False, True):
        if plan:
            (sweep / PLAN).touch()
        assert matching_run(RunFolder(sweep / "k5"), run_record(), tmp_path / "runs", dataset) is None
        assert ("not reused" in caplog.text) != plan
        caplog.clear()


def cut(path: Path, share: float = 0.9) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])


@pytest.mark.parametrize(
    ("happens", "why"),
    [
        (lambda run: cut(run.at(2, [2]).map("a")), "a.png is missing or damaged"),
        (lambda run: run.at(2, [2]).map("a").unlink(), "a.png is missing or damaged"),
        (lambda run: cut(run.at(2, [2]).predictions), "predictions.jsonl is missing or damaged"),
        (lambda run: cut(run.at(2, [2]).predictions, 0), "predictions.jsonl is missing or damaged"),
        (lambda run: cut(run.at(2, [2]).metrics, 0.5), "metrics.json is missing or damaged"),
        (lambda run: cut(run.data()), "data.jsonl is missing or damaged"),
        (lambda run: run.data().unlink(), "data.jsonl is missing or damaged"),
        (lambda run: write_photograph(run.path.parents[1] / "photographs" / "a.png", seed=1), "a has changed"),
        (lambda run: write_json(run.record, run_record(weights_sha256="c")), "weights_sha256 was 'c', is 'a'"),
        (lambda run: cut(run.record), None),
    ],
)
def test_the_log_says_why_the_nearest_run_is_not_reused(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, happens: Callable[[RunFolder], object], why: str | None
) -> None:
    caplog.set_level("INFO", "nave.runs.resume")
    run = written(tmp_path / "runs" / "a")
    written(tmp_path / "runs" / "b", weights_sha256="c", data_sha256="d")
    dataset = photographs(tmp_path, run)
    happens(run)
    assert matching_run(RunFolder(tmp_path / "new"), run_record(), tmp_path / "runs", dataset) is None
    told = caplog.text
    assert why is None or (f"not reused: {run.path} (" in told and why in told)


def test_an_image_that_was_only_copied_has_not_changed(tmp_path: Path) -> None:
    run = written(tmp_path / "runs" / "a")
    dataset = photographs(tmp_path, run)
    photograph = tmp_path / "photographs" / "a.png"
    (tmp_path / "copy").write_bytes(photograph.read_bytes())
    (tmp_path / "copy").replace(photograph)
    assert matching_run(RunFolder(tmp_path / "new"), run_record(), tmp_path / "runs", dataset) == run


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
    source = written(tmp_path / "source")
    reuse_results(source, RunFolder(tmp_path / "new"))
    assert (tmp_path / "new" / "maps" / "a.png").read_bytes() == source.at(2, [2]).map("a").read_bytes()


def test_results_may_be_linked_twice_and_at_once(tmp_path: Path) -> None:
    source, new = written(tmp_path / "source"), RunFolder(tmp_path / "new")
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda _: reuse_results(source, new), range(20)))
    names = {str(path.relative_to(new.path)) for path in new.path.rglob("*") if path.is_file()}
    assert names == {"maps/a.png", "predictions.jsonl", "metrics.json", "wandb/offline"}
    assert (new.path / "maps" / "a.png").stat().st_nlink == 2


def test_only_the_first_process_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nave.runs.resume.is_rank_zero", lambda: False)
    assert reuse_results(written(tmp_path / "source"), RunFolder(tmp_path / "new"))["status"] == "ok"
    assert not (tmp_path / "new").exists()
