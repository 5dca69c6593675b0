import numpy as np
import pytest

from nave.metrics.concepts import figures, nearest, number_of_concepts


@pytest.mark.parametrize(
    ("asked", "centroids", "count"), [("auto", 99, 0), ("auto", 100, 20), (7, 7, 7), (7, 6, 0), (0, 100, 0)]
)
def test_concepts_need_enough_centroids(asked, centroids, count):
    assert number_of_concepts(asked, centroids) == count


def test_figures_are_those_of_a_literal_count():
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 4, (12, 16)).astype(np.uint8)
    concepts, box = np.array([2, 0, 2, 0]), np.array([3, 2, 9.5, 7])
    found = figures(labels, concepts, 4, box)
    rows, columns = np.indices(labels.shape)
    border = (rows % 11 == 0) | (columns % 15 == 0)
    centre = (rows >= 3) & (rows < 9) & (columns >= 4) & (columns < 12)
    inside = (rows >= 2) & (rows < 7) & (columns >= 3) & (columns < 10)
    for concept in (0, 2):
        own = concepts[labels] == concept
        expected = [own.mean(), own[border].mean(), centre[own].mean(), inside[own].mean()]
        assert found[concept] == pytest.approx(expected)
    assert np.isnan(found[[1, 3]]).all()


def test_a_cluster_has_the_nearest_concept():
    concepts, distances = nearest(np.array([[0.0, 0], [9, 1]]), np.array([[10.0, 1], [3, 4]]))
    assert (concepts.tolist(), distances.tolist()) == ([1, 0], [5, 1])
