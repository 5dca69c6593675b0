"""Lloyd's k-means on the composite without materialising it: exact, at the cost of the grid."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64, Int64, UInt8
from torch import Tensor

from nave.clustering.clusters import MAX_K, Clusters, check_k, inertia, joined
from nave.clustering.seeding import initial_centroids
from nave.clustering.steps import Step, stepper
from nave.composite import Composite

ITERATIONS_UNASKED = 4


@dataclass(frozen=True)
class Factored:
    """K-means by the factored form of METHOD section 1; labels equal scikit-learn's from the same centroids.

    Args:
        n_init: k-means++ restarts on the grid; the best one seeds full resolution.
        max_iter: Lloyd iterations at most.
        tolerance: stop once the centroids' squared movement is below this share of the channels' mean
            variance, as scikit-learn does; 0 waits until no label changes.
    """

    n_init: int = 1
    max_iter: int = 300
    tolerance: float = 0.0

    def __call__(
        self,
        composite: Composite,
        k: int,
        seeds: Int64[Tensor, " B"],
        init: Float[Tensor, "B K D"] | None = None,
    ) -> Clusters:
        """See :class:`nave.clustering.clusters.Clustering`."""
        check_k(k)
        if composite.device.type != "cpu":
            return self._fit(composite, k, seeds, init)
        # one by one: a batch gains nothing here, and an image's rounding would depend on its neighbours
        inits = [None] * composite.batch if init is None else init[:, None]
        images = zip(composite.split(), seeds[:, None], inits, strict=True)
        return joined([self._fit(one, k, seed, start) for one, seed, start in images])

    def _fit(
        self, composite: Composite, k: int, seeds: Int64[Tensor, " B"], init: Float[Tensor, "B K D"] | None
    ) -> Clusters:
        centroids = initial_centroids(composite, k, seeds, self.n_init) if init is None else init
        return lloyd(composite, centroids, self.max_iter, self.tolerance)


def lloyd(
    composite: Composite, centroids: Float[Tensor, "B K D"], max_iter: int = 300, tolerance: float = 0.0
) -> Clusters:
    """Lloyd's iterations from ``centroids``; images that have converged leave the batch.

    A cluster that loses all its points moves to the point farthest from its centroid, as in scikit-learn, if
    any point lies away from its centroid. On a GPU, convergence and empty clusters are looked at every few
    iterations only: asking makes the host wait, and an iteration after convergence changes nothing.
    """
    every = 1 if centroids.device.type == "cpu" else ITERATIONS_UNASKED
    result = centroids.clone()
    iterations = torch.zeros(composite.batch, dtype=torch.int64, device=centroids.device)
    threshold = tolerance * _mean_variance(composite) if tolerance else None
    active = torch.arange(composite.batch, device=centroids.device)
    labels = torch.full((composite.batch, *composite.size), MAX_K, dtype=torch.uint8, device=centroids.device)
    current, advance = composite, stepper(composite)
    for iteration in range(1, max_iter + 1):
        step = advance(centroids)
        asked = iteration % every == 0
        moved = means(current, step, centroids, relocate=asked)
        done = (step.labels ^ labels).flatten(1).amax(1) == 0
        if threshold is not None:
            done |= _shift(moved, centroids) <= threshold[active]
        labels, centroids = step.labels, moved
        result[active], iterations[active] = moved, iteration
        if asked and done.any():
            left = (~done).nonzero()[:, 0]
            if not len(left):
                break
            active, labels, centroids = active[left], labels[left], centroids[left]
            current = current.images(left)
            advance = stepper(current)
    return _finish(composite, result, iterations)


def means(
    composite: Composite, step: Step, centroids: Float[Tensor, "B K D"], *, relocate: bool = True
) -> Float[Tensor, "B K D"]:
    """The clusters' means; empty clusters are given the points farthest from their centroids, or stay."""
    counts, sums = step.counts, step.sums
    empty = (counts == 0).any(1)
    if relocate and empty.any():
        counts, sums = _relocated(composite, step, centroids, empty)
    return torch.where(counts[:, :, None] > 0, sums / counts.clamp_min(1)[:, :, None], centroids)


def _relocated(
    composite: Composite, step: Step, centroids: Float[Tensor, "B K D"], empty: Bool[Tensor, " B"]
) -> tuple[Float[Tensor, "B K"], Float[Tensor, "B K D"]]:
    counts, sums = step.counts.clone(), step.sums.clone()
    for image in empty.nonzero()[:, 0].tolist():
        one = composite.images(torch.tensor([image], device=counts.device))
        labels = step.labels[image].flatten()
        distances = _distances(one, labels, centroids[image])
        negligible = 1e-6 * one.squared_norms().max()
        clusters = (step.counts[image] == 0).nonzero()[:, 0].tolist()
        for cluster, far in zip(clusters, _farthest(distances, len(clusters)), strict=False):
            if distances[far] <= negligible:
                continue
            old, point = int(labels[far]), _point(one, far)
            counts[image, old] -= 1
            sums[image, old] -= point
            counts[image, cluster], sums[image, cluster] = 1, point
    return counts, sums


def _farthest(distances: Float[Tensor, " N"], count: int) -> list[int]:
    """Of some equally far points, and in which order, numpy decides, as it does for scikit-learn."""
    count = min(count, len(distances))
    farthest: list[int] = np.argpartition(distances.cpu().numpy(), -count)[: -count - 1 : -1].tolist()
    return farthest


def _distances(one: Composite, labels: UInt8[Tensor, " N"], centroids: Float[Tensor, "K D"]) -> Float[Tensor, " N"]:
    own = labels.long()
    products = one.project(centroids[None])[0].flatten(1).gather(0, own[None])[0]
    return one.squared_norms()[0].flatten() - 2 * products + (centroids**2).sum(1)[own]


def _point(one: Composite, index: int) -> Float[Tensor, " D"]:
    y, x = divmod(index, one.size[1])
    return one.points(torch.tensor([y]), torch.tensor([x])).materialise()[0, 0]


def _mean_variance(composite: Composite) -> Float64[Tensor, " B"]:
    points = composite.size[0] * composite.size[1]
    ones = torch.ones((composite.batch, 1, *composite.size), device=composite.blocks[0].features.device)
    mean = composite.pool(ones)[:, 0].double() / points
    return (composite.total_squared_norm() / points - (mean**2).sum(1)) / sum(composite.channels)


def _shift(new: Float[Tensor, "B K D"], old: Float[Tensor, "B K D"]) -> Float64[Tensor, " B"]:
    return ((new - old).double() ** 2).sum((1, 2))


def _finish(composite: Composite, centroids: Float[Tensor, "B K D"], iterations: Int64[Tensor, " B"]) -> Clusters:
    """Labels and inertia under the final centroids."""
    step = stepper(composite)(centroids)
    return Clusters(step.labels, centroids, inertia(composite, centroids, step.counts, step.sums), iterations)
