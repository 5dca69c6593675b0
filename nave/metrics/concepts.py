"""Clusters of single images grouped into concepts of the whole data set."""

from collections.abc import Iterable

import numpy as np
from jaxtyping import Float
from sklearn.cluster import KMeans

GROUPS = 21  # VOC's twenty classes and background
LIMIT = 20_000


class TooFewCentroids(ValueError):  # noqa: N818 - it says what is wrong
    """Fewer distinct centroids than groups."""


def group_centroids(
    centroids: Iterable[Float[np.ndarray, "K D"]], *, groups: int = GROUPS, seed: int = 0, limit: int = LIMIT
) -> KMeans:
    """K-means of all images' centroids; `predict` of the result gives each centroid of an image its group.

    As MaskContrast and Deep Spectral do (METHOD section 3). Takes one image at a time and keeps at most
    `limit` centroids, a uniform sample when there are more, so memory does not grow with the data set; VOC12
    val at K = 10 has 14,490. Raises TooFewCentroids when there are fewer distinct ones than groups.
    """
    kept = _sample(centroids, limit, np.random.default_rng(seed))
    distinct = len(np.unique(kept, axis=0)) if kept else 0
    if distinct < groups:
        raise TooFewCentroids(f"{distinct} distinct centroids cannot form {groups} groups: give more images")
    return KMeans(groups, n_init=10, random_state=seed).fit(np.stack(kept))


def _sample(
    centroids: Iterable[Float[np.ndarray, "K D"]], limit: int, generator: np.random.Generator
) -> list[Float[np.ndarray, " D"]]:
    """Reservoir sampling (Vitter 1985, algorithm R)."""
    kept: list[Float[np.ndarray, " D"]] = []
    for seen, centroid in enumerate(row for image in centroids for row in image):
        if seen < limit:
            kept.append(np.array(centroid))
        elif (place := int(generator.integers(seen + 1))) < limit:
            kept[place] = np.array(centroid)
    return kept
