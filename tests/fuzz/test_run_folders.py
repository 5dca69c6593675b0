"""A run folder of which a file is damaged: whoever reads it back names the file."""

import io
import json
import os
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from nave.comparison.images import Hashes
from nave.data.folder import Folder
from nave.runs.claim import claimed
from nave.runs.damage import damaged
from nave.runs.journal import Journal
from nave.runs.labels import axes, distinguished
from nave.runs.layout import ResultsFolder, RunFolder
from nave.runs.prediction import read_lines
from nave.runs.reader import Run, mean_overlaps, read_runs
from nave.runs.resume import changed_images, matching_run
from nave.runs.scoring import evaluate
from nave.runs.summary import show_run, summary
from nave.runs.sweep import report
from tests.fuzz.harness import expensive, lawful, read, thorough
from tests.fuzz.strategies import ANY_JSON, PREDICTION, as_json, lines, without_some
from tests.fuzz.strategies import damaged as damaged_bytes
from tests.helpers.pages import write_run

pytestmark = [
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.usefixtures("unchecked"),
]  # NumPy warns of numbers near the largest


@cache
def sound(k: int = 2) -> Path:
    """A run of two images; copied, never changed."""
    folder = write_run(Path(mkdtemp()) / "run", ks=(k,), image_ids=("one", "two"), photographs=False, size=(5, 6))
    content = json.loads((folder / "run.json").read_text())
    process = {"host": "gone", "pid": 1, "slurm_job": None}
    more = {"process": process, "total": 2, "seconds": {"total": 1.0}, "passed_over": {"crowd": 1}, "remarks": {}}
    (folder / "run.json").write_text(json.dumps(content | more))
    return folder


def from_file(name: str) -> st.SearchStrategy[Any]:
    return st.deferred(lambda: st.builds(lambda: json.loads((sound() / name).read_text())))


def json_file(name: str) -> st.SearchStrategy[bytes]:
    return damaged_bytes(as_json(st.one_of(without_some(from_file(name)), ANY_JSON)))


LINE = st.one_of(without_some(PREDICTION), PREDICTION, ANY_JSON)
NOTE = without_some(
    st.builds(lambda line, index: {"index": index, "k": 2, "line": line}, PREDICTION, st.integers(0, 2))
)
PACKED = st.builds(lambda note: note | {"packed": {"maps": [0, 0, 0, 512, 100]}}, NOTE)
NOTES = lines(
    st.one_of(NOTE, PACKED, st.just({"index": 1, "unreadable": {"image_id": "b", "reason": "torn"}}), ANY_JSON)
)
FILE = st.builds(lambda: {"size": 3, "changed": 0, "sha256": "0"})
CONTENTS = lines(
    without_some(
        st.builds(
            lambda index, file: {"index": index, "image_id": str(index), "files": [file], "truth": "0"},
            *(st.integers(0, 2), FILE),
        )
    )
)
PLAN = st.builds(lambda: {"overrides": ["k=2,3"], "jobs": [["k=2"], ["k=3"]]})
CLAIM = st.builds(lambda: {"host": "gone", "pid": 1, "slurm_job": None})


def copied(tmp_path: Path) -> Path:
    folder = tmp_path / "sweep" / "run"
    return folder if folder.exists() else Path(shutil.copytree(sound(), folder))


def with_file(tmp_path: Path, name: str, content: bytes) -> Path:
    folder = copied(tmp_path)
    (folder / name).write_bytes(content)
    return folder


def all_read(folder: Path, name: str, consumer: Callable[[Run], object]) -> None:
    """Reads the run with all that reports, figures, loggers and summaries ask of it; errors name the file."""
    lawful(folder / name, lambda: consumer(Run.read(folder)))


def everything(run: Run) -> None:
    for at_k in distinguished(run.at_k) if run.at_k else ():
        list(at_k.scores.values())
        for image_id in at_k.lines:
            at_k.overlaps[image_id]
    mean_overlaps(run.at_k)
    axes(distinguished(run.at_k)) if run.at_k else None
    if run.finished:
        show_run(run)
    summary(run.folder.path.parent)
    read_runs([run.folder.path])


@given(json_file("run.json"))
@thorough
def test_records(tmp_path: Path, content: bytes) -> None:
    folder = with_file(tmp_path, "run.json", content)
    all_read(folder, "run.json", everything)


@given(json_file("run.json"))
@expensive
def test_records_to_score(tmp_path: Path, content: bytes) -> None:
    folder = with_file(tmp_path, "run.json", content)
    lawful(folder / "run.json", lambda: evaluate(RunFolder(folder), []))


@given(json_file("metrics.json"))
@thorough
def test_metrics(tmp_path: Path, content: bytes) -> None:
    folder = with_file(tmp_path, "metrics.json", content)
    all_read(folder, "metrics.json", everything)


@given(lines(LINE))
@thorough
def test_predictions(tmp_path: Path, content: bytes) -> None:
    folder = with_file(tmp_path, "predictions.jsonl", content)
    all_read(folder, "predictions.jsonl", everything)
    for line in lawful(folder / "predictions.jsonl", lambda: list(read_lines(ResultsFolder(folder)))) or []:
        assert folder / "maps" in ResultsFolder(folder).map(line["image_id"]).resolve().parents


@given(lines(st.one_of(without_some(PREDICTION), PREDICTION)))
@expensive
def test_scores(tmp_path: Path, content: bytes) -> None:
    folder = copied(tmp_path)
    lawful_content = read(folder / "predictions.jsonl", content, lambda path: evaluate(RunFolder(path.parent), []))
    assert lawful_content is None or all(
        score["value"] is None or 0 <= score["value"] <= 100
        for name, score in lawful_content["."].items()
        if name in ("nave", "corloc")
    )


@given(NOTES)
@thorough
def test_notes(tmp_path: Path, content: bytes) -> None:
    journal = Journal(RunFolder(tmp_path), [2])
    finished = read(tmp_path / "parts" / "0.jsonl", content, lambda _: journal.finished())
    if finished is not None:
        unreadable = journal.collect(len(finished))
        written = (tmp_path / "predictions.jsonl").read_text().splitlines()
        assert len(written) + len(unreadable) >= len(finished)


@given(CONTENTS)
@thorough
def test_contents(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "images").mkdir(exist_ok=True)
    Image.new("L", (3, 3)).save(tmp_path / "images" / "one.png")
    dataset = Folder(tmp_path / "images")
    read(tmp_path / "run" / "data.jsonl", content, lambda path: changed_images(path, dataset, 1))
    hashes = Hashes.read(tmp_path / "run" / "data.jsonl")
    assert all(hashes.image_id(position) for position in range(len(hashes.keys)))


@given(json_file("run.json"))
@thorough
def test_another_run_is_reused_or_passed_over(tmp_path: Path, content: bytes) -> None:
    folder = with_file(tmp_path, "run.json", content)
    now = json.loads((sound() / "run.json").read_text())
    (tmp_path / "images").mkdir(exist_ok=True)
    Image.new("L", (3, 3)).save(tmp_path / "images" / "one.png")
    found = matching_run(RunFolder(tmp_path / "new"), now, tmp_path / "sweep", Folder(tmp_path / "images"))
    assert found is None  # it has no data.jsonl
    lawful(folder / "run.json", lambda: damaged(RunFolder(folder), Run.read(folder).record))


@given(damaged_bytes(as_json(without_some(PLAN))))
@thorough
def test_plans(tmp_path: Path, content: bytes) -> None:
    read(copied(tmp_path).parent / "sweep.json", content, lambda path: report(path.parent))


@given(damaged_bytes(as_json(without_some(CLAIM))))
@thorough
def test_claims(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    monkeypatch.setenv("PATH", "")  # squeue of a machine without its daemon takes seconds
    folder = RunFolder(tmp_path / "run")
    folder.path.mkdir(exist_ok=True)
    folder.claim.write_bytes(content)
    os.utime(folder.claim, (0, 0))
    with claimed(folder, deep=False):
        assert folder.claim.exists()


def npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=True)
    return file.getvalue()


def png(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(array).save(file, "PNG")
    return file.getvalue()


CENTROIDS = damaged_bytes(
    st.sampled_from(
        [
            npy(np.ones((2, 3), np.float32)),
            npy(np.full((2, 3), np.nan, np.float32)),
            npy(np.ones(3, np.float64)),
            npy(np.array([{"a": 1}], object)),
            npy(np.array(["a"])),
        ]
    )
)
MAPS = damaged_bytes(st.sampled_from([png(np.zeros((5, 6), np.uint8)), png(np.zeros((5, 6, 3), np.uint8)), b""]))


@given(CENTROIDS)
@thorough
def test_centroids(tmp_path: Path, content: bytes) -> None:
    found = read(tmp_path / "centroids" / "a.npy", content, lambda _: ResultsFolder(tmp_path).read_centroids("a"))
    assert found is None or (found.ndim == 2 and found.dtype == np.float32 and np.isfinite(found).all())


@given(MAPS)
@thorough
def test_maps(tmp_path: Path, content: bytes) -> None:
    labels = read(tmp_path / "maps" / "a.png", content, lambda _: ResultsFolder(tmp_path).read_map("a"))
    assert labels is None or (labels.ndim == 2 and labels.dtype == np.uint8)
