import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nave.comparison.regions import box_region, cluster_overlaps
from nave.comparison.saturation import explained_shares, saturation


@settings(deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 5))
def test_overlaps_are_counted_pixel_by_pixel(seed, k):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, k, (8, 9), dtype=np.uint8)
    region = box_region((1, 2, 6, 7), (8, 9))
    for cluster, overlap in enumerate(cluster_overlaps(labels, region)):
        one = labels == cluster
        assert overlap == pytest.approx((one & region).sum() / (one | region).sum())


def test_a_box_takes_every_pixel_that_it_cuts():
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
    found = saturation(labels, (3, 2, 9, 6), np.array([[0.0, 0.0], [1.0, 0.0]]))
    assert found.overlap == 1
    assert found.inertia_share == pytest.approx(1 - 24 / 200)  # n_k |c_k - m|^2 of two clusters: the other's share
    assert saturation(labels, (0, 0, 20, 10), None).overlap == pytest.approx(176 / 200)
    assert saturation(labels, (0, 0, 20, 10), None).inertia_share is None


def test_one_point_has_equal_shares():
    assert explained_shares(np.ones((2, 3)), np.array([5, 7])).tolist() == [0.5, 0.5]


def test_what_does_not_belong_together_is_refused():
    with pytest.raises(ValueError, match="2 centroids, but a map of 3 clusters"):
        explained_shares(np.ones((2, 3)), np.array([5, 7, 1]))
    with pytest.raises(ValueError, match="covers no pixel of 4 x 5"):
        box_region((5, 0, 9, 3), (4, 5))
