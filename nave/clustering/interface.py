"""The protocol of clustering engines, and ``k=auto``: the number of clusters from the elbow of the inertia."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float, Float64, Int64, UInt8
from torch import Tensor
from torch.nn import functional

from nave.clustering.number import NumberOfClusters
from nave.composite.composite import ROUNDING, Composite


@dataclass(frozen=True)
class Clusters:
    """Clusters of ``B`` images; the ids of empty clusters do not occur in ``labels``."""

    labels: UInt8[Tensor, "B H W"]
    centroids: Float[Tensor, "B K D"]
    inertia: Float64[Tensor, " B"]
    iterations: Int64[Tensor, " B"]


@runtime_checkable
class Clustering(Protocol):
    """The signature of all engines."""

    def __call__(
        self,
        composite: Composite,
        k: int,
        seeds: Int64[Tensor, " B"],
        init: Float[Tensor, "B K D"] | None = None,
    ) -> Clusters:
        """Clusters the points of every image into at most ``k`` groups.

        Args:
            k: from 1 to 255.
            seeds: one per image; all randomness comes from them, so a result does not depend on the batch.
            init: initial centroids that replace the engine's own.

        Raises:
            ValueError: for ``k`` out of range.
        """
        ...


def concatenate(batches: Sequence[Clusters]) -> Clusters:
    """Concatenates the results of several batches."""
    return Clusters(*map(torch.cat, zip(*(vars(batch).values() for batch in batches), strict=True)))


def coincident(centroids: Float[Tensor, "B K D"]) -> Bool[Tensor, "B K K"]:
    """Marks the pairs of centroids that are equal up to rounding; every centroid coincides with itself."""
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
    """Computes the sum of squared distances of points to their centroids from the clusters' sizes and sums."""
    c, s = centroids.double(), sums.double()
    spread = (counts.double() * (c * c).sum(2) - 2 * (c * s).sum(2)).sum(1)
    return (composite.total_squared_norm() + spread).clamp_min(0)


MIN_AUTO_K, MAX_AUTO_K = 3, 10


def cluster(engine: Clustering, composite: Composite, k: NumberOfClusters, seeds: Int64[Tensor, " B"]) -> Clusters:
    """Clusters with ``engine`` for a given ``k``, or for each image's own K where ``k`` is ``auto``.

    With ``auto``, centroids are padded with zeros to the largest K; the padding's ids do not occur in the labels.
    """
    if isinstance(k, int):
        return engine(composite, k, seeds)
    runs = [engine(composite, number, seeds) for number in range(MIN_AUTO_K - 1, MAX_AUTO_K + 1)]
    best = elbow(torch.stack([run.inertia for run in runs], dim=1))
    return _select(runs, best - (MIN_AUTO_K - 1))


def elbow(inertia: Float64[Tensor, "B R"]) -> Int64[Tensor, " B"]:
    """Returns the K from 3 to 10 that reduces the inertia of K - 1 by the largest share.

    Args:
        inertia: of K = 2 to 10; a billionth of that of K = 2, or less, cannot be reduced further.
    """
    before, after = inertia[:, :-1], inertia[:, 1:]
    negligible = 1e-9 * inertia[:, :1]
    drop = torch.where(before > negligible, (before - after) / before.clamp_min(1e-300), 0)
    return drop.argmax(1) + MIN_AUTO_K


def _select(runs: list[Clusters], index: Int64[Tensor, " B"]) -> Clusters:
    images = torch.arange(len(index), device=index.device)
    most = runs[-1].centroids.shape[1]
    padded = [
        replace(run, centroids=functional.pad(run.centroids, (0, 0, 0, most - run.centroids.shape[1]))) for run in runs
    ]
    tensors = zip(*(vars(run).values() for run in padded), strict=True)
    return Clusters(*(torch.stack(of_runs)[index, images] for of_runs in tensors))
