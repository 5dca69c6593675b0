import numpy as np
import pytest

from nave.metrics.concepts import EXAMPLES, Described, Tally, figures, nearest, number_of_concepts


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


def images(count, concepts=4):
    """Concepts, distances (some alike, some infinite) and figures of the clusters of some images."""
    generator = np.random.default_rng(0)
    for number in range(count):
        clusters = 1 + number % 5
        own = generator.integers(0, concepts - (number < count // 2), clusters)
        distances = np.where(generator.random(clusters) < 0.2, np.inf, generator.integers(1, 9, clusters) / 8)
        labels = generator.integers(0, clusters, (9, 7)).astype(np.uint8)
        yield own, distances, figures(labels, own, concepts, np.array([1, 2, 6.5, 5]))


@pytest.mark.parametrize("at_a_time", [1, 7, 200])
def test_a_tally_is_that_of_all_images_at_once(at_a_time):
    described = list(images(100))
    tally = Tally(4)
    for first in range(0, 100, at_a_time):
        own, distances, tables = zip(*described[first : first + at_a_time], strict=True)
        clusters = np.array([len(one) for one in own])
        tally.add(Described(clusters, np.concatenate(own), np.concatenate(distances), np.stack(tables)))
    table = np.stack([tables for _, _, tables in described])
    present = ~np.isnan(table[:, :, 0])
    assert (tally.images, tally.shown.tolist()) == (100, present.sum(axis=0).tolist())
    assert np.array_equal(tally.means(), [table[present[:, one], one].mean(axis=0) for one in range(4)])
    assert sorted(tally.order().tolist(), key=lambda one: -present[:, one].sum()) == tally.order().tolist()
    for concept in range(4):
        literal = [
            (min(far[own == concept]), number, int(np.where(own == concept, far, np.inf).argmin()))
            for number, (own, far, _) in enumerate(described)
            if np.isfinite(far[own == concept]).any()
        ]
        nearest_first = [(number, cluster, distance) for distance, number, cluster in sorted(literal)[:EXAMPLES]]
        assert tally.examples(concept) == nearest_first


def test_a_concept_that_no_map_shows_has_no_figures():
    tally = Tally(2)
    labels = np.zeros((4, 4), np.uint8)
    own = np.array([1])
    tally.add(Described(own, own, np.array([0.5]), figures(labels, own, 2, np.array([0.0, 0, 4, 4]))[None]))
    assert (tally.shown.tolist(), tally.means()[0].tolist(), tally.examples(0)) == ([0, 1], [0, 0, 0, 0], [])
