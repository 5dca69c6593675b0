"""concepts.json of runs in the real format."""

import json
from pathlib import Path

import numpy as np
import pytest

from nave.runs.concepts import read_concepts
from nave.runs.layout import RunFolder
from nave.runs.reader import Run, RunAtK
from nave.runs.scoring import evaluate
from tests.helpers.pages import write_centroids, write_run

KINDS = np.eye(3, 8, dtype=np.float32) * 10  # band n of every image is of kind n


def with_centroids(path: Path, seed: int = 0, **overrides: object) -> RunAtK:
    """A run of four images, whose bands are of one kind each over all images."""
    run = write_run(path, image_ids=("one", "two", "three", "four"), overrides=overrides)
    (at_k,) = Run.read(run).at_k
    for number, image_id in enumerate(at_k.lines):
        noise = np.random.default_rng([seed, number]).normal(0, 0.1, KINDS.shape)
        write_centroids(at_k.results, image_id, KINDS + noise)
    evaluate(RunFolder(run))
    return at_k


def test_what_images_have_in_common_is_one_concept_everywhere(tmp_path: Path) -> None:
    run = with_centroids(tmp_path, concepts=3)
    found = read_concepts(run.results)
    assert found is not None
    (bands,) = {tuple(concepts) for concepts in found["images"].values()}
    assert sorted(bands) == [0, 1, 2]
    maps = [run.read_map(image_id) for image_id in run.lines]
    for band, number in enumerate(bands):
        concept = found["concepts"][number]
        assert (concept["frequency"]["value"], concept["frequency"]["images"]) == (100, 4)
        assert concept["area"] == pytest.approx(100 * np.mean([(labels == band).mean() for labels in maps]), abs=1e-3)
        assert {example["cluster"] for example in concept["examples"]} == {band}
        distances = [example["distance"] for example in concept["examples"]]
        assert len(distances) == 4
        assert distances == sorted(distances)
    middle = found["concepts"][bands[1]]
    assert middle["central"] > max(found["concepts"][bands[band]]["central"] for band in (0, 2))
    assert middle["border"] < middle["area"]


def test_scoring_again_writes_the_same_bytes_and_options_write_nothing(tmp_path: Path) -> None:
    run = with_centroids(tmp_path, concepts=3)
    before = run.results.concepts.read_bytes()
    run.results.concepts.unlink()
    evaluate(RunFolder(tmp_path), ["iou=0.7"])
    assert not run.results.concepts.exists()
    evaluate(RunFolder(tmp_path))
    assert run.results.concepts.read_bytes() == before


@pytest.mark.parametrize("asked", ["auto", 0, 13])
def test_without_enough_centroids_there_are_none(tmp_path: Path, asked: object) -> None:
    run = with_centroids(tmp_path, concepts=asked)
    assert read_concepts(run.results) is None
    assert "class_miou" not in json.loads(run.results.metrics.read_text())  # there are no masks


def test_centroids_of_another_run_are_refused(tmp_path: Path) -> None:
    run = with_centroids(tmp_path, concepts=3)
    write_centroids(run.results, "two", KINDS[:2])
    with pytest.raises(ValueError, match=r"two.npy: \(2, 8\) for 3 clusters: run the images again"):
        evaluate(RunFolder(tmp_path))
    run.results.concepts.write_text('{"concepts": 5}\n')
    with pytest.raises(ValueError, match=r"concepts.json.*score the run again"):
        read_concepts(run.results)
