"""Saturation: does the region of a watermark get a cluster of its own, and how much of the inertia does that take?"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, UInt8

from nave.comparison.regions import box_region, cluster_overlaps

OWN = 0.5  # intersection over union from which a cluster is the region's own


@dataclass(frozen=True)
class Saturation:
    """The cluster that fits a region best: its intersection over union, its share of the explained inertia."""

    overlap: float
    inertia_share: float | None  # None where the run kept no centroids


def saturation(
    labels: UInt8[np.ndarray, "H W"], box: Sequence[float], centroids: Float[np.ndarray, "K D"] | None
) -> Saturation:
    """Of one image; ``box`` is the watermark's, xyxy, in the map's pixels, half-open.

    Raises:
        ValueError: for a box outside the image, and as :func:`explained_shares`.
    """
    overlaps = cluster_overlaps(labels, box_region(box, (labels.shape[0], labels.shape[1])))
    best = int(overlaps.argmax())
    if centroids is None:
        return Saturation(float(overlaps[best]), None)
    shares = explained_shares(centroids, np.bincount(labels.ravel(), minlength=len(overlaps)))
    return Saturation(float(overlaps[best]), float(shares[best]))


def explained_shares(centroids: Float[np.ndarray, "K D"], pixels: Int[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """Every cluster's share of the inertia that the clustering explains, ``n_k |c_k - m|^2 / sum``.

    ``m`` is the mean of all points, ``sum_k n_k c_k / N``: total inertia is the explained plus k-means' own
    (Huygens). Equal shares where the centroids are one point.

    Raises:
        ValueError: if centroids and pixel counts are of different clusterings.
    """
    if len(centroids) != len(pixels):
        raise ValueError(f"{len(centroids)} centroids, but a map of {len(pixels)} clusters: they are of different runs")
    c, n = centroids.astype(np.float64), pixels.astype(np.float64)
    explained = n * ((c - n @ c / n.sum()) ** 2).sum(axis=1)
    whole = explained.sum()
    shares: Float[np.ndarray, " n"] = explained / whole if whole > 0 else np.full(len(n), 1 / len(n))
    return shares
