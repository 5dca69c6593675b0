import csv
import json
import os
import shlex
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from nave.run import main as main_run
from nave.runs.files import write_json, write_whole
from nave.runs.layout import RunFolder
from nave.runs.summary import as_markdown, as_table, summary
from nave.runs.sweep import own_folder, report
from nave.sweep import main
from tests.helpers.pages import write_run
from tests.helpers.running import QUICK, exit_code, nave_run, nave_sweep, photographs, record, results, voc

pytestmark = pytest.mark.usefixtures("unchecked")


def begun(folder: Path, **changes: Any) -> Path:
    process = {"host": os.uname().nodename, "pid": os.getpid(), "slurm_job": None}
    config = {"model": {"name": "vits14"}, "training": "default", "k": 5}
    write_json(folder / "run.json", {"status": "running", "process": process, "config": config} | changes)
    (folder / ".hydra").mkdir()
    (folder / ".hydra" / "overrides.yaml").write_text("- k=5\n- layers=[-2,-1]\n- trainer.devices=[${round_robin:2}]\n")
    return folder


def test_a_folder_named_by_the_time_belongs_to_one(tmp_path: Path) -> None:
    path = tmp_path / "outputs" / "2026-01-31_12-00-00"
    with ThreadPoolExecutor(8) as threads:
        folders = set(threads.map(lambda _: own_folder(path), range(8)))
    assert {folder.name for folder in folders} == {path.name, *(f"{path.name}_{number}" for number in range(2, 9))}


def test_two_sweeps_in_one_second_have_a_folder_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    named = 'hydra.sweep.dir="sweeps/${now:%Y}"'
    for seed in (0, 1):
        assert exit_code(main_run, "-m", *QUICK, *photographs(tmp_path, 1), named, f"seed={seed}") == 0
    seeds = [record(path.parent)["config"]["seed"] for path in sorted((tmp_path / "sweeps").glob("*/*/run.json"))]
    assert seeds == [0, 1]


def test_a_sweep_in_the_folder_of_one_that_runs_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = {"host": os.uname().nodename, "pid": os.getppid(), "slurm_job": None}
    write_json(tmp_path / "sweep" / ".claim", other)
    assert nave_sweep(tmp_path / "sweep", *photographs(tmp_path, 1)) == 1
    assert f"error: {tmp_path / 'sweep'} is in use by process {os.getppid()}" in capsys.readouterr().out
    assert [path.name for path in (tmp_path / "sweep").iterdir()] == [".claim"]


@pytest.mark.parametrize("choice", ["run", "sweep"])
def test_a_failing_report_or_logger_fails_a_sweep_whose_jobs_are_complete(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], choice: str
) -> None:
    folder, overrides = tmp_path / "sweep", [*voc(tmp_path, 1), "logger=[csv]", "k=2,3"]
    with monkeypatch.context() as patch:
        place = "nave.report.page.write_report" if choice == "sweep" else "nave.loggers.lightning.LightningLogger.log"
        patch.setattr(place, lambda *_: 1 / 0)
        assert nave_sweep(folder, *overrides, "report=true") == 1
    out = capsys.readouterr().out
    repeats = f"to write it: python -m nave.report {folder}" if choice == "sweep" else "to log it: python -m nave.run"
    assert repeats in out
    with (folder / "summary.csv").open() as file:
        assert [(row["status"], bool(row["corloc"])) for row in csv.DictReader(file)] == [("ok", True), ("ok", True)]


def planned(folder: Path, jobs: int | None) -> None:
    write_json(folder / "sweep.json", {"overrides": ["k=5,7"], "jobs": None if jobs is None else [["k=5"]] * jobs})


def test_a_sweep_has_a_folder_a_job_and_a_summary(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "sweep"
    assert nave_sweep(folder, *voc(tmp_path, 2), "k=2,[2,3]") == 0
    with (folder / "summary.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["k"], row["status"], row["images"]) for row in rows] == [
        ("2", "ok", "2"),
        ("2", "ok", "2"),
        ("3", "ok", "2"),
    ]
    assert all(row["corloc"] and row["corloc_low"] and row["corloc_high"] for row in rows)
    assert (folder / "summary.md").read_text().count("\n") == 2 + 3
    assert f"written to {folder}" in capsys.readouterr().out
    assert main([str(folder)]) == 0
    assert capsys.readouterr().out.endswith("2 jobs, 2 begun: 2 ok\ncomplete\n")


def test_a_failing_job_leaves_the_others_running_and_is_finished_by_the_printed_commands(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, root = tmp_path / "sweep", tmp_path / "photographs"
    overrides = photographs(tmp_path)
    root.rename(tmp_path / "elsewhere")
    sound = tmp_path / "sound"
    (tmp_path / "elsewhere").rename(sound)
    broken, whole = f"data.root={tmp_path / 'later'}", f"data.root={sound}"
    assert nave_sweep(folder, overrides[0], f"{broken},{sound}") == 1
    out = capsys.readouterr().out
    assert "failed: MissingDatasetError" in " ".join(out.split())
    assert main([str(folder)]) == 1
    printed = capsys.readouterr().out
    assert "2 jobs, 2 begun: 1 failed, 1 ok" in printed
    everything, _, single = printed.splitlines()[-3:]
    assert whole not in single
    sound.rename(tmp_path / "later")
    assert nave_run(*shlex.split(single)[3:]) == 0
    assert everything.endswith("skip_existing=true")
    assert main([str(folder)]) == 0


def test_a_sweep_into_the_folder_of_another_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, overrides = tmp_path / "sweep", [*photographs(tmp_path, 1), "hydra.sweep.subdir=job${k}"]
    assert nave_sweep(folder, *overrides) == 0
    before = results(folder)
    assert nave_sweep(folder, *overrides, "seed=1") == 1
    assert "refused" in capsys.readouterr().out
    assert results(folder) == before
    assert record(folder / "job2")["config"]["seed"] == 0
    assert nave_sweep(folder, *overrides, "skip_existing=true") == 0


def test_running_jobs_are_listed_with_their_progress(tmp_path: Path) -> None:
    begun(tmp_path / "a", total=9)
    planned(tmp_path, 3)
    rows, text = report(tmp_path)
    assert [(row.status, row.images, row.total) for row in rows] == [("running", 0, 9)]
    assert text == "3 jobs, 1 begun: 1 running"


def test_a_process_that_has_vanished_was_killed(tmp_path: Path) -> None:
    process = {"host": os.uname().nodename, "pid": 2**22 + 1, "slurm_job": None}
    begun(tmp_path / "a b", process=process)
    planned(tmp_path, 2)
    _, text = report(tmp_path)
    assert "2 jobs, 1 begun: 1 killed" in text
    everything, _, single = text.splitlines()[-3:]
    overrides = ["k=5", "layers=[-2,-1]", "trainer.devices=[${round_robin:2}]"]
    assert shlex.split(everything)[3:] == ["-m", "k=5,7", f'hydra.sweep.dir="{tmp_path}"', "skip_existing=true"]
    assert shlex.split(single)[3:] == [*overrides, f'hydra.run.dir="{tmp_path / "a b"}"']


def test_another_machines_process_is_lost_after_a_long_silence(tmp_path: Path) -> None:
    job = begun(tmp_path / "a", process={"host": "another", "pid": 1, "slurm_job": None})
    assert [row.status for row in summary(tmp_path)] == ["running"]
    os.utime(job / "run.json", (0, 0))
    assert [row.status for row in summary(tmp_path)] == ["killed"]


def test_nothing_runs_after_the_end_of_the_sweep(tmp_path: Path) -> None:
    begun(tmp_path / "a")
    assert [row.status for row in summary(tmp_path, ended=True)] == ["killed"]


def test_a_search_is_continued_job_by_job(tmp_path: Path) -> None:
    begun(tmp_path / "a", status="failed", error="ValueError: a | b\nc")
    planned(tmp_path, None)
    _, text = report(tmp_path)
    assert "? jobs, 1 begun: 1 failed" in text
    assert "-m k=5,7" not in text


def test_tables_give_an_error_in_one_line(tmp_path: Path) -> None:
    begun(tmp_path / "a", status="failed", error="ValueError: a | b\nwhat was looked for, and where")
    rows = summary(tmp_path)
    assert as_markdown(rows).splitlines()[-1].endswith(r"| failed: ValueError: a \| b |")
    assert as_table(rows).row_count == 1


def test_a_refused_job_is_no_success(tmp_path: Path) -> None:
    job = write_run(tmp_path / "a")
    write_whole(RunFolder(job).refusal, "holds results of another run")
    (row,) = summary(tmp_path)
    assert (row.status, row.error) == ("refused", "holds results of another run")


def test_a_folder_that_holds_no_sweep_is_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path)]) == 1
    assert "holds no sweep.json" in capsys.readouterr().err


def test_the_plan_lists_every_job(tmp_path: Path) -> None:
    nowhere = ["data=folder", f"data.root={tmp_path / 'nowhere'}"]
    assert nave_sweep(tmp_path / "sweep", *nowhere, "k=2,3", "seed=range(2)") == 1
    plan = json.loads((tmp_path / "sweep" / "sweep.json").read_text())
    assert [[o for o in job if o.startswith(("k=", "seed="))] for job in plan["jobs"]] == [
        ["k=[2,3]", "seed=0"],
        ["k=[2,3]", "seed=1"],
    ]


def test_k_over_several_values_is_one_job_with_the_bytes_of_the_list(tmp_path: Path) -> None:
    data = [*photographs(tmp_path, 2), "overlays=1"]
    for name, ks in (("values", "k=2,3"), ("list", "k=[2,3]")):
        assert nave_sweep(tmp_path / name, *data, ks, "seed=0,1") == 0
    values, given = (sorted((tmp_path / name).glob("seed=*")) for name in ("values", "list"))
    assert [job.name for job in values] == [job.name for job in given]
    assert [job.name for job in values] == ["seed=0", "seed=1"]
    assert [results(job) for job in values] == [results(job) for job in given]
    with (tmp_path / "values" / "summary.csv").open() as file:
        assert [row["k"] for row in csv.DictReader(file)] == ["2", "3", "2", "3"]


@pytest.mark.slow
def test_jobs_run_side_by_side_on_one_machine_and_take_turns(tmp_path: Path) -> None:
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher")
    folder = tmp_path / "sweep"
    side_by_side = ["hydra/launcher=local", "hydra.launcher.n_jobs=2", "seed=${round_robin:2}"]
    assert nave_sweep(folder, *side_by_side, *photographs(tmp_path, 2), "k=[2],[3],[4]") == 0
    records = {path.parent.name: record(path.parent) for path in folder.glob("*/run.json")}
    by_k = sorted(records.values(), key=lambda made: made["config"]["k"])
    assert [made["config"]["seed"] for made in by_k] == [0, 1, 0]
    assert os.getpid() not in {made["process"]["pid"] for made in by_k}
