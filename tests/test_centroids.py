import numpy as np
import pytest

from nave.centroids import read_centroids, write_centroids


def test_one_file_an_image_in_sub_folders_too(tmp_path):
    centroids = np.random.default_rng(0).normal(size=(5, 7)).astype(np.float32)
    write_centroids(tmp_path, "trip/beach", centroids)
    np.testing.assert_array_equal(read_centroids(tmp_path, "trip/beach"), centroids)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["beach.npy"]


def test_no_file_for_a_map_without_centroids(tmp_path):
    write_centroids(tmp_path, "a", np.empty((0, 0), np.float32))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("content", [None, b"", b"no array"])
def test_a_damaged_file_is_named(tmp_path, content):
    if content is not None:
        (tmp_path / "centroids").mkdir()
        (tmp_path / "centroids" / "a.npy").write_bytes(content)
    with pytest.raises(ValueError, match=r"centroids/a\.npy: no centroids can be read.*run the images again"):
        read_centroids(tmp_path, "a")
