"""What every clustering engine returns."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float, Float64, Int64, UInt8
from torch import Tensor

from nave.composite import ROUNDING, Composite

MAX_K = 255  # labels are written as indexed PNG, one byte a pixel


@dataclass(frozen=True)
class Clusters:
    """K-means of ``B`` images. Clusters without points have the ids that no pixel carries."""

    labels: UInt8[Tensor, "B H W"]
    centroids: Float[Tensor, "B K D"]
    inertia: Float64[Tensor, " B"]
    iterations: Int64[Tensor, " B"]


@runtime_checkable
class Clustering(Protocol):
    """One signature for all engines."""

    def __call__(
        self,
        composite: Composite,
        k: int,
        seeds: Int64[Tensor, " B"],
        init: Float[Tensor, "B K D"] | None = None,
    ) -> Clusters:
        """Clusters every image's points into at most ``k`` groups.

        ``seeds`` (one an image) decide all that is random, so an image's result does not depend on its batch;
        ``init`` replaces the engine's seeding by given centroids.
        """
        ...


def joined(parts: Sequence[Clusters]) -> Clusters:
    """The results of several batches as one."""
    return Clusters(*(torch.cat(tensors) for tensors in zip(*map(_tensors, parts), strict=True)))


def _tensors(clusters: Clusters) -> tuple[Tensor, ...]:
    return clusters.labels, clusters.centroids, clusters.inertia, clusters.iterations


def check_k(k: int) -> int:
    """``k`` itself.

    Raises:
        ValueError: outside 1 to 255.
    """
    if not 1 <= k <= MAX_K:
        raise ValueError(f"k={k}: the number of clusters must be from 1 to {MAX_K}, or auto")
    return k


def coincident(centroids: Float[Tensor, "B K D"]) -> Bool[Tensor, "B K K"]:
    """The pairs of centroids that are one point, up to rounding; every centroid coincides with itself."""
    c = centroids.double()
    products = c @ c.mT
    norms = products.diagonal(dim1=1, dim2=2)
    return norms[:, :, None] * (1 - ROUNDING**2) + norms[:, None] <= 2 * products


def inertia(
    composite: Composite,
    centroids: Float[Tensor, "B K D"],
    counts: Float[Tensor, "B K"],
    sums: Float[Tensor, "B K D"],
) -> Float64[Tensor, " B"]:
    """Sum of squared distances of the points to their centroids, from the clusters' sizes and sums alone."""
    c, s = centroids.double(), sums.double()
    spread = (counts.double() * (c * c).sum(2) - 2 * (c * s).sum(2)).sum(1)
    return (composite.total_squared_norm() + spread).clamp_min(0)
