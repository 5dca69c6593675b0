"""Lloyd's k-means on the composite without materialising it: exact, at the cost of the grid."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Float64, Int64, UInt8
from torch import Tensor

from nave.clustering.clusters import Clusters, check_k, inertia
from nave.clustering.seeding import initial_centroids
from nave.clustering.steps import Step, stepper
from nave.composite import Composite


@dataclass(frozen=True)
class Factored:
    """K-means by the factored form of METHOD section 1; labels equal scikit-learn's from the same centroids.

    Args:
        n_init: k-means++ restarts on the grid; the best one seeds full resolution.
        max_iter: Lloyd iterations at most.
        tolerance: stop once the centroids' squared movement is below this share of the channels' mean variance, as
            scikit-learn does; 0 waits until no label changes.
    """

    n_init: int = 1
    max_iter: int = 300
    tolerance: float = 0.0

    def __call__(
        self, composite: Composite, k: int, seeds: Int64[Tensor, " B"], init: Float[Tensor, "B K D"] | None = None
    ) -> Clusters:
        """See :class:`nave.clustering.clusters.Clustering`."""
        centroids = initial_centroids(composite, check_k(k), seeds, self.n_init) if init is None else init
        return lloyd(composite, centroids, self.max_iter, self.tolerance)


def lloyd(
    composite: Composite, centroids: Float[Tensor, "B K D"], max_iter: int = 300, tolerance: float = 0.0
) -> Clusters:
    """Lloyd's iterations from ``centroids``; images that have converged leave the batch.

    A cluster that loses all its points moves to the point farthest from its centroid, as in scikit-learn, if any
    point lies away from its centroid.
    """
    device = centroids.device
    centroids = centroids.clone()
    labels = torch.zeros((composite.batch, *composite.size), dtype=torch.uint8, device=device)
    iterations = torch.zeros(composite.batch, dtype=torch.int64, device=device)
    threshold = tolerance * _mean_variance(composite) if tolerance else None
    active = torch.arange(composite.batch, device=device)
    advance = stepper(composite)
    for iteration in range(max_iter):
        step = advance(centroids[active])
        moved = means(composite.images(active), step, centroids[active])
        same = (step.labels == labels[active]).flatten(1).all(1) & (iteration > 0)
        done = same if threshold is None else same | (_shift(moved, centroids[active]) <= threshold[active])
        labels[active], centroids[active], iterations[active] = step.labels, moved, iteration + 1
        if done.any():
            active = active[~done]
            if not len(active):
                break
            advance = stepper(composite.images(active))
    return _finish(composite, centroids, iterations)


def means(composite: Composite, step: Step, centroids: Float[Tensor, "B K D"]) -> Float[Tensor, "B K D"]:
    """The clusters' means; empty clusters are given the points farthest from their centroids."""
    counts, sums = step.counts, step.sums
    empty = (counts == 0).any(1)
    if empty.any():
        counts, sums = _relocated(composite, step, centroids, empty)
    return torch.where(counts[:, :, None] > 0, sums / counts.clamp_min(1)[:, :, None], centroids)


def _relocated(
    composite: Composite, step: Step, centroids: Float[Tensor, "B K D"], empty: Bool[Tensor, " B"]
) -> tuple[Float[Tensor, "B K"], Float[Tensor, "B K D"]]:
    counts, sums = step.counts.clone(), step.sums.clone()
    for image in empty.nonzero()[:, 0].tolist():
        one = composite.images(torch.tensor([image], device=counts.device))
        distances, labels = _distances(one, step.labels[image], centroids[image]), step.labels[image].flatten()
        negligible = 1e-6 * one.squared_norms().max()
        for cluster in (step.counts[image] == 0).nonzero()[:, 0].tolist():
            far = int(distances.argmax())
            if distances[far] <= negligible:
                break
            old, point = int(labels[far]), _point(one, far)
            counts[image, old] -= 1
            sums[image, old] -= point
            counts[image, cluster], sums[image, cluster] = 1, point
            distances[far] = 0
    return counts, sums


def _distances(
    one: Composite, labels: UInt8[Tensor, "H W"], centroids: Float[Tensor, "K D"]
) -> Float[Tensor, " N"]:
    products = one.project(centroids[None])[0].flatten(1).gather(0, labels.flatten().long()[None])[0]
    return one.squared_norms()[0].flatten() - 2 * products + (centroids**2).sum(1)[labels.flatten().long()]


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


def _finish(
    composite: Composite, centroids: Float[Tensor, "B K D"], iterations: Int64[Tensor, " B"]
) -> Clusters:
    """Labels and inertia under the final centroids."""
    step = stepper(composite)(centroids)
    return Clusters(step.labels, centroids, inertia(composite, centroids, step.counts, step.sums), iterations)
