import io
import json
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from nave.runs.journal import Journal
from nave.runs.layout import ResultsFolder, RunFolder
from nave.runs.prediction import read_lines
from nave.runs.reader import Run
from nave.runs.record import read_record
from nave.runs.scoring import evaluate
from tests.fuzz.harness import lawful, read, thorough
from tests.fuzz.strategies import ANY_JSON, PREDICTION, as_json, damaged, lines, without_some

RECORD: dict[str, Any] = {
    "status": "ok",
    "ks": [2],
    "config": {"seed": 0, "evaluation": {"iou": 0.5, "hard": True, "inner": True, "per_class": True, "per_size": True}},
}
RECORD["config"]["evaluation"]["groups"] = 2
RECORDS = damaged(as_json(st.one_of(without_some(st.builds(lambda: json.loads(json.dumps(RECORD)))), ANY_JSON)))
LINES = lines(st.one_of(without_some(PREDICTION), PREDICTION, ANY_JSON))
NOTES = lines(
    st.one_of(
        without_some(
            st.builds(lambda line, index: {"index": index, "k": 2, "line": line}, PREDICTION, st.integers(0, 2))
        ),
        st.just({"index": 1, "unreadable": {"image_id": "b", "reason": "torn"}}),
        ANY_JSON,
    )
)


def npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=True)
    return file.getvalue()


def png(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(array).save(file, "PNG")
    return file.getvalue()


CENTROIDS = damaged(
    st.sampled_from([npy(np.ones((2, 3), np.float32)), npy(np.array([{"a": 1}], object)), npy(np.array(["a"]))])
)
MAPS = damaged(st.sampled_from([png(np.zeros((5, 6), np.uint8)), png(np.zeros((5, 6, 3), np.uint8)), b""]))


@given(RECORDS)
@thorough
def test_records(tmp_path: Path, content: bytes) -> None:
    record = read(tmp_path / "run.json", content, lambda path: read_record(RunFolder(path.parent)))
    if record is not None:
        lawful(tmp_path / "run.json", lambda: Run.read(tmp_path).at_k)


@given(LINES)
@thorough
def test_predictions(tmp_path: Path, content: bytes) -> None:
    for line in (
        read(tmp_path / "predictions.jsonl", content, lambda path: list(read_lines(ResultsFolder(path.parent)))) or []
    ):
        assert isinstance(line["image_id"], str)


@given(LINES)
@thorough
def test_scores(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "run.json").write_text(json.dumps(RECORD))
    read(tmp_path / "predictions.jsonl", content, lambda path: evaluate(RunFolder(path.parent), []))


@given(NOTES)
@thorough
def test_notes(tmp_path: Path, content: bytes) -> None:
    journal = Journal(RunFolder(tmp_path), [2])
    ids = read(tmp_path / "parts" / "0.jsonl", content, lambda _: journal.finished())
    assert ids is None or all(isinstance(image_id, str) for image_id in ids)
    if ids is not None:
        unreadable = journal.collect(len(ids))
        assert {line["image_id"] for line in read_lines(ResultsFolder(tmp_path))} | {
            image["image_id"] for image in unreadable
        } == ids


@given(CENTROIDS)
@thorough
def test_centroids(tmp_path: Path, content: bytes) -> None:
    read(tmp_path / "centroids" / "a.npy", content, lambda _: ResultsFolder(tmp_path).read_centroids("a"))


@given(MAPS)
@thorough
def test_maps(tmp_path: Path, content: bytes) -> None:
    labels = read(tmp_path / "maps" / "a.png", content, lambda _: ResultsFolder(tmp_path).read_map("a"))
    assert labels is None or (labels.ndim == 2 and labels.dtype == np.uint8)
