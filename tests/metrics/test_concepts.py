import numpy as np
import pytest
from sklearn.cluster import KMeans

from nave.metrics import group_centroids
from nave.metrics.concepts import _sample


def blobs(images, groups=4, dimensions=3):
    generator = np.random.default_rng(0)
    centres = 10 * generator.normal(size=(groups, dimensions))
    for _ in range(images):
        yield centres[generator.integers(0, groups, 5)] + 0.1 * generator.normal(size=(5, dimensions))


def test_equals_scikit_learn_on_all_centroids():
    fitted = group_centroids(blobs(30), groups=4, seed=2)
    expected = KMeans(4, n_init=10, random_state=2).fit(np.concatenate(list(blobs(30))))
    np.testing.assert_array_equal(fitted.cluster_centers_, expected.cluster_centers_)


def test_more_centroids_than_the_limit_are_sampled_and_found_again():
    fitted = group_centroids(blobs(400), groups=4, limit=100)
    everything = np.concatenate(list(blobs(400)))
    whole = KMeans(4, n_init=10, random_state=0).fit(everything)
    pairs = set(zip(fitted.predict(everything).tolist(), whole.labels_.tolist(), strict=True))
    assert len(pairs) == 4  # the same groups under other names


def test_the_sample_is_uniform():
    stream = [np.arange(10.0).reshape(5, 2)] * 40
    drawn = [row.tolist() for seed in range(200) for row in _sample(stream, 20, np.random.default_rng(seed))]
    counts = [drawn.count(row) for row in stream[0].tolist()]
    assert sum(counts) == 20 * 200
    assert max(counts) - min(counts) < 150  # 800 of each expected, standard deviation 25


@pytest.mark.parametrize("centroids", [[], [np.ones((5, 2))] * 9])
def test_too_few_distinct_centroids_are_refused(centroids):
    with pytest.raises(ValueError, match="distinct centroids cannot form 21 groups"):
        group_centroids(centroids)
