from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nave.runs.layout import ResultsFolder, k_order
from nave.viz.overlay import indexed
from tests.helpers.pages import write_centroids


def test_a_map_is_read_as_it_was_written(tmp_path: Path) -> None:
    results = ResultsFolder(tmp_path)
    labels = np.array([[0, 1], [2, 1], [0, 0]], np.uint8)
    path = results.map("trip/beach")
    path.parent.mkdir(parents=True)
    indexed(labels, [2, 0, 1]).save(path)
    assert np.array_equal(results.read_map("trip/beach"), labels)
    with pytest.raises(FileNotFoundError, match="trip/sea"):
        results.read_map("trip/sea")


def test_one_file_an_image_in_sub_folders_too(tmp_path: Path) -> None:
    results = ResultsFolder(tmp_path)
    centroids = np.random.default_rng(0).normal(size=(5, 7)).astype(np.float32)
    write_centroids(results, "trip/beach", centroids)
    np.testing.assert_array_equal(results.read_centroids("trip/beach"), centroids)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["beach.npy"]


@pytest.mark.parametrize("content", [None, b"", b"no array"])
def test_a_damaged_file_is_named(tmp_path: Path, content: bytes | None) -> None:
    results = ResultsFolder(tmp_path)
    if content is not None:
        results.centroids("a").parent.mkdir()
        results.centroids("a").write_bytes(content)
    with pytest.raises(ValueError, match=r"centroids/a\.npy: no centroids can be read.*run the images again"):
        results.read_centroids("a")


def test_auto_comes_after_the_numbers() -> None:
    assert sorted(["auto", "10", "3"], key=k_order) == ["3", "10", "auto"]


@pytest.mark.parametrize("array", [np.ones((2, 3)), np.ones(3, np.float32), np.full((2, 3), np.nan, np.float32)])
def test_centroids_of_another_form_are_named(tmp_path: Path, array: np.ndarray) -> None:
    results = ResultsFolder(tmp_path)
    results.centroids("a").parent.mkdir()
    np.save(results.centroids("a"), array)
    with pytest.raises(ValueError, match=r"centroids/a\.npy.*run the images again"):
        results.read_centroids("a")


@pytest.mark.parametrize("mode", ["RGB", "I;16", None])
def test_a_map_of_another_form_is_named(tmp_path: Path, mode: str | None) -> None:
    path = ResultsFolder(tmp_path).map("a")
    path.parent.mkdir()
    path.write_bytes(b"no image") if mode is None else Image.new(mode, (3, 2)).save(path)
    with pytest.raises(ValueError, match=r"maps/a\.png.*run the images again"):
        ResultsFolder(tmp_path).read_map("a")


@pytest.mark.parametrize("image_id", ["../x", "/x", "a/../../x", "", "a\0"])
def test_no_file_of_an_image_lies_outside_the_run(tmp_path: Path, image_id: str) -> None:
    with pytest.raises(ValueError, match="leads out of"):
        ResultsFolder(tmp_path).map(image_id)
