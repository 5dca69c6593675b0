import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import adjusted_rand_score

from nave.comparison.measure import (
    box_overlaps,
    box_region,
    change,
    cluster_overlaps,
    explained_shares,
    mask_overlaps,
    saturation,
)
from nave.metrics.prediction import Prediction
from nave.metrics.protocols import hitting_components
from tests.helpers.pages import line


def random_map(seed, k, shape=(6, 7)):
    return np.random.default_rng(seed).integers(0, k, shape, dtype=np.uint8)


@settings(deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 6), st.integers(1, 6))
def test_ari_is_scikit_learns(seed, k, others):
    ours, theirs = random_map(seed, k), random_map(seed + 1, others)
    assert change(ours, theirs).agreement["ari"] == pytest.approx(adjusted_rand_score(ours.ravel(), theirs.ravel()))


def brute_force(ours, theirs):
    """The best mean overlap over all ways to pair clusters, one by one."""
    few, many = sorted((np.unique(ours).tolist(), np.unique(theirs).tolist()), key=len)
    first, second = (ours, theirs) if len(np.unique(ours)) <= len(np.unique(theirs)) else (theirs, ours)

    def iou(a, b):
        return ((first == a) & (second == b)).sum() / ((first == a) | (second == b)).sum()

    best = max(sum(map(iou, few, order)) for order in itertools.permutations(many, len(few)))
    return best / len(many)


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 10_000), st.integers(1, 4), st.integers(1, 4))
def test_matched_iou_is_the_best_of_all_pairings_and_symmetric(seed, k, others):
    ours, theirs = random_map(seed, k), random_map(seed + 1, others)
    matched = change(ours, theirs).agreement["matched_iou"]
    assert matched == pytest.approx(brute_force(ours, theirs))
    assert matched == pytest.approx(change(theirs, ours).agreement["matched_iou"])


def test_cluster_ids_do_not_matter_and_255_is_one():
    ours = random_map(0, 5)
    renamed = np.array([255, 3, 2, 9, 0], np.uint8)[ours]
    found = change(ours, renamed)
    assert found.agreement == {"ari": 1.0, "matched_iou": 1.0, "vanished": 0.0, "appeared": 0.0, "changed": 0.0}
    assert dict(found.counterparts) == {0: 255, 1: 3, 2: 2, 3: 9, 4: 0}
    assert found.vanished == found.appeared == ()


def test_different_sizes_are_refused():
    with pytest.raises(ValueError, match=r"\(6, 7\), the truth is \(7, 6\)"):
        change(random_map(0, 2), random_map(0, 2, (7, 6)))


def test_boxes_of_a_class_take_the_best_object():
    image = line("one", 0, 3, (60, 80), truth=True)
    box = image["components"][1]["box"]
    image["truth"] = {"boxes": [box, [0, 0, 2, 2], [0, 0, 3, 3]], "classes": ["cat", "cat", "dog"], "hard": [False] * 3}
    overlaps = box_overlaps(image)
    assert overlaps["cat"] == overlaps["any"] == 1
    assert overlaps["dog"] == pytest.approx(9 / (60 * image["components"][0]["box"][2]))


def test_any_object_is_the_nave_protocol():
    lines = [line(str(number), number, 3, (60, 80), truth=True) for number in range(6)]
    hits = [one is not None for one in hitting_components([Prediction.from_line(one) for one in lines], inner=False)]
    assert [box_overlaps(one)["any"] >= 0.5 for one in lines] == np.asarray(hits).tolist()


def test_no_truth_no_concepts():
    image = line("one", 0, 3, (60, 80), truth=False)
    assert box_overlaps(image) == mask_overlaps(image) == {}
    image["truth"] = {"boxes": [], "classes": [], "hard": []}
    assert box_overlaps(image) == {}


def test_every_named_class_of_a_mask_takes_its_best_cluster():
    image = line("one", 0, 3, (60, 80), truth=True)
    names = [None, "cat", "dog"]
    image["segmentation"] = {"classes": [0, 8, 12], "names": names, "pixels": [[50, 10, 0], [0, 30, 4], [9, 0, 1]]}
    assert mask_overlaps(image) == {"cat": pytest.approx(30 / 44), "dog": pytest.approx(4 / 35), "any": 30 / 44}
    image["segmentation"] = {"classes": [0, 100], "names": [None, None], "pixels": [[50, 10], [0, 30]]}
    assert mask_overlaps(image) == {}


@settings(deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 5))
def test_overlaps_are_counted_pixel_by_pixel(seed, k):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, k, (8, 9), dtype=np.uint8)
    region = box_region((1, 2, 6, 7), (8, 9))
    for cluster, overlap in enumerate(cluster_overlaps(labels, region)):
        mask = labels == cluster
        assert overlap == pytest.approx((mask & region).sum() / (mask | region).sum())


def test_a_box_covers_every_pixel_that_it_touches():
    region = box_region((0.5, 1.0, 2.2, 2.0), (3, 4))
    assert region.tolist() == [[False] * 4, [True, True, True, False], [False] * 4]


@settings(deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 6))
def test_shares_are_those_of_the_points_themselves(seed, k):
    """Total inertia less the inertia within is what the clustering explains (Huygens)."""
    rng = np.random.default_rng(seed)
    points, labels = rng.normal(size=(40, 3)), rng.integers(0, k, 40)
    labels[:k] = np.arange(k)
    centroids = np.stack([points[labels == cluster].mean(0) for cluster in range(k)])
    own = [((points - points.mean(0))[labels == c].sum(0) ** 2).sum() / (labels == c).sum() for c in range(k)]
    total, within = ((points - points.mean(0)) ** 2).sum(), ((points - centroids[labels]) ** 2).sum()
    assert sum(own) == pytest.approx(total - within)
    shares = explained_shares(centroids, np.bincount(labels))
    assert shares.sum() == pytest.approx(1)
    if k > 1:
        assert shares == pytest.approx(np.array(own) / sum(own))


def test_a_watermark_with_a_cluster_of_its_own_saturates():
    labels = np.zeros((10, 20), np.uint8)
    labels[2:6, 3:9] = 1
    best = saturation(labels, (3, 2, 9, 6), np.array([[0.0, 0.0], [1.0, 0.0]]))
    assert best.overlap == 1
    assert best.inertia_share == pytest.approx(1 - 24 / 200)  # n_k |c_k - m|^2 of two clusters: the other's share
    assert saturation(labels, (0, 0, 20, 10), None).overlap == pytest.approx(176 / 200)
    assert saturation(labels, (0, 0, 20, 10), None).inertia_share is None


def test_one_point_has_equal_shares():
    assert explained_shares(np.ones((2, 3)), np.array([5, 7])).tolist() == [0.5, 0.5]


def test_mismatched_centroids_and_boxes_outside_are_refused():
    with pytest.raises(ValueError, match="2 centroids, but a map of 3 clusters"):
        explained_shares(np.ones((2, 3)), np.array([5, 7, 1]))
    with pytest.raises(ValueError, match="covers no pixel of 4 x 5"):
        box_region((5, 0, 9, 3), (4, 5))


def test_a_cluster_without_a_counterpart_vanishes_and_others_appear():
    before, after = np.zeros((8, 8), np.uint8), np.zeros((8, 8), np.uint8)
    before[:, 6:] = 1  # vanishes into the columns 4 to 7
    before[0, 0] = 2
    after[:, 4:] = 1 + np.arange(8, dtype=np.uint8)[:, None] % 2  # in stripes
    found = change(before, after)
    assert found.counterparts == ((0, 0), (1, 1))
    assert found.vanished == found.appeared == (2,)
    assert found.agreement["vanished"] == found.agreement["appeared"] == pytest.approx(1 / 3)
    assert found.agreement["changed"] == pytest.approx(1 - (31 + 8) / 64)
