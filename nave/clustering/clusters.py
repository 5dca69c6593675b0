"""What every clustering engine returns."""

from dataclasses import dataclass
from typing import Protocol

import torch
from jaxtyping import Float, Float64, Int64, UInt8
from torch import Tensor

from nave.composite import Composite

MAX_K = 255  # labels are written as indexed PNG, one byte a pixel


@dataclass(frozen=True)
class Clusters:
    """K-means of ``B`` images. Clusters without points have the ids that no pixel carries."""

    labels: UInt8[Tensor, "B H W"]
    centroids: Float[Tensor, "B K D"]
    inertia: Float64[Tensor, " B"]
    iterations: Int64[Tensor, " B"]


class Clustering(Protocol):
    """One signature for all engines."""

    def __call__(
        self, composite: Composite, k: int, seeds: Int64[Tensor, " B"], init: Float[Tensor, "B K D"] | None = None
    ) -> Clusters:
        """Clusters every image's points into at most ``k`` groups.

        ``seeds`` (one an image) decide all that is random, so an image's result does not depend on its batch;
        ``init`` replaces the engine's seeding by given centroids.
        """
        ...


def check_k(k: int) -> int:
    """``k`` itself.

    Raises:
        ValueError: outside 1 to 255.
    """
    if not 1 <= k <= MAX_K:
        raise ValueError(f"k={k}: the number of clusters must be from 1 to {MAX_K}, or auto")
    return k


def inertia(
    composite: Composite, centroids: Float[Tensor, "B K D"], counts: Float[Tensor, "B K"], sums: Float[Tensor, "B K D"]
) -> Float64[Tensor, " B"]:
    """Sum of squared distances of the points to their centroids, from the clusters' sizes and sums alone."""
    c, s = centroids.double(), sums.double()
    spread = (counts.double() * (c * c).sum(2) - 2 * (c * s).sum(2)).sum(1)
    return (composite.total_squared_norm() + spread).clamp_min(0)
