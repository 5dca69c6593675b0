import numpy as np
from scipy.sparse import csr_matrix

from nave.comparison.concepts import AGAIN, KEPT, NEW, OVERLAP, Overlaps, concept_scores, matched, shared_pixels
from nave.metrics.segmentation import pair_ious
from tests.runs.test_forming import with_centroids


def test_pixels_are_counted_by_concept_over_the_data_set():
    before, after = np.array([[0, 0, 1, 1]], np.uint8), np.array([[0, 1, 1, 2]], np.uint8)
    found = shared_pixels(before, np.array([1, 0]), after, np.array([2, 0, 2]), (2, 3))
    assert found.tolist() == [[1, 0, 1], [1, 0, 1]]


def test_overlaps_of_resamples_are_those_of_the_images_drawn():
    tables = np.random.default_rng(0).integers(0, 9, (5, 3, 4))
    pairs = matched(tables.sum(axis=0))
    overlaps = Overlaps(csr_matrix(tables.reshape(5, -1)), (3, 4), pairs)
    drawn = np.array([[1, 1, 1, 1, 1], [0, 2, 0, 3, 0]])
    for counts, found in zip(drawn, overlaps(drawn), strict=True):
        ious = pair_ious(np.tensordot(counts, tables, 1))
        assert found.tolist() == [ious[pair] for pair in pairs]


def test_equal_maps_keep_every_concept_whatever_its_number(tmp_path):
    before = with_centroids(tmp_path / "before", concepts=3)
    after = with_centroids(tmp_path / "after", seed=1, concepts=3)
    found = list(concept_scores(before, after))
    shares = {name: score["value"] for name, concept, score in found if not concept}
    assert shares == {KEPT: 100, AGAIN: 100, NEW: 0}
    overlaps = {concept: score["value"] for name, concept, score in found if name == OVERLAP}
    assert set(overlaps.values()) == {100}
    assert len(overlaps) == 3


def test_concepts_that_are_lost_vanish_and_runs_without_concepts_say_nothing(tmp_path):
    before = with_centroids(tmp_path / "before", concepts=3)
    after = with_centroids(tmp_path / "after", concepts=1)
    found = {(name, concept): score["value"] for name, concept, score in concept_scores(before, after)}
    assert found[KEPT, ""] == 100 / 3 or abs(found[KEPT, ""] - 100 / 3) < 1e-3
    assert found[NEW, ""] == 0
    assert not list(concept_scores(before, with_centroids(tmp_path / "none", concepts=0)))
