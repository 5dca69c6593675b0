import numpy as np
import pytest

from nave.comparison.scatter import scattered


def test_whole_clusters_are_not_scattered():
    assert scattered(np.repeat(np.arange(4, dtype=np.uint8), 6).reshape(4, 6)) == 0


def test_specks_count():
    labels = np.zeros((10, 10), np.uint8)
    labels[1, 1] = labels[5, 5] = labels[8, 2] = 1
    assert scattered(labels) == pytest.approx(2 / 100)


def test_diagonal_neighbours_are_apart():
    assert scattered(np.eye(2, dtype=np.uint8)) == pytest.approx(0.5)
