"""Lloyd's iterations on the factored composite, until no label changes; :mod:`nave.clustering.batched` is for GPUs."""

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64, Int64, UInt8
from torch import Tensor

from nave.clustering import kernels_cpu
from nave.clustering.interface import Clusters, inertia
from nave.clustering.number import MAX_K
from nave.clustering.steps import CompiledStepper, Step, Stepper, stepper
from nave.composite.composite import ROUNDING, Composite


def lloyd(
    composite: Composite, centroids: Float[Tensor, "B K D"], max_iter: int = 300, tolerance: float = 0.0
) -> Clusters:
    """Runs :func:`lloyd_centroids` and assigns every point to the final centroids."""
    make_step = stepper(composite)
    centroids, iterations = _iterate(composite, make_step, centroids, max_iter, tolerance)
    step = make_step(centroids)
    return Clusters(step.labels, centroids, inertia(composite, centroids, step.counts, step.sums), iterations)


def lloyd_centroids(
    composite: Composite, centroids: Float[Tensor, "B K D"], max_iter: int = 300, tolerance: float = 0.0
) -> tuple[Float[Tensor, "B K D"], Int64[Tensor, " B"]]:
    """Runs Lloyd's iterations until no label changes or the centroids hardly move.

    As in scikit-learn, an empty cluster moves to the point that is farthest from its centroid; it stays where every
    point equals its centroid.

    Args:
        composite: the points of ``B`` images.
        centroids: where the iterations start.
        max_iter: largest number of iterations.
        tolerance: stop once the centroids' squared movement is at most this share of the channels' mean variance;
            0 iterates until no label changes.

    Returns:
        The centroids, and the number of iterations of every image.
    """
    return _iterate(composite, stepper(composite), centroids, max_iter, tolerance)


def _iterate(
    composite: Composite, make_step: Stepper, centroids: Float[Tensor, "B K D"], max_iter: int, tolerance: float
) -> tuple[Float[Tensor, "B K D"], Int64[Tensor, " B"]]:
    threshold = tolerance * mean_variance(composite) if tolerance else centroids.new_full((composite.batch,), -1)
    if not isinstance(make_step, CompiledStepper):
        return _iterate_batch(composite, make_step, centroids, max_iter, threshold)
    result = centroids.clone(memory_format=torch.contiguous_format)
    images = zip(composite.split(), result, threshold.tolist(), strict=True)
    iterations = [
        _iterate_compiled(image, make_step.image(i), start, limit, max_iter)
        for i, (image, start, limit) in enumerate(images)
    ]
    return result, torch.tensor(iterations)


def _iterate_compiled(
    image: Composite, make_step: CompiledStepper, centroids: Float[Tensor, "K D"], threshold: float, max_iter: int
) -> int:
    """Updates the centroids of one image in place and counts iterations; those with empty clusters are not compiled."""
    labels = torch.full(image.size, MAX_K, dtype=torch.uint8)
    axes = (*make_step.rows, *make_step.cols)
    arrays = (make_step.points[0].numpy(), *make_step.grid, *axes, centroids.numpy(), labels.numpy())
    done, iteration = False, 0
    while not done and iteration < max_iter:
        iterations, done = kernels_cpu.converge(*arrays, max_iter - iteration, threshold, ROUNDING**2)
        iteration += iterations
        if not done and iteration < max_iter:
            step = make_step(centroids[None])
            moved = means(image, step, centroids[None])
            done = torch.equal(step.labels[0], labels) or bool(_shift(moved, centroids[None]) <= threshold)
            labels.copy_(step.labels[0])
            centroids.copy_(moved[0])
            iteration += 1
    return iteration


def _iterate_batch(
    composite: Composite,
    make_step: Stepper,
    centroids: Float[Tensor, "B K D"],
    max_iter: int,
    threshold: Float[Tensor, " B"],
) -> tuple[Float[Tensor, "B K D"], Int64[Tensor, " B"]]:
    """Iterates all images at once; those that have converged leave the batch."""
    result = torch.empty_like(centroids)
    iterations = torch.full((composite.batch,), max_iter, device=centroids.device)
    active = torch.arange(composite.batch, device=centroids.device)
    labels = torch.full((composite.batch, *composite.size), MAX_K, dtype=torch.uint8, device=centroids.device)
    current = composite
    for iteration in range(1, max_iter + 1):
        step = make_step(centroids)
        moved = means(current, step, centroids)
        done = (step.labels ^ labels).flatten(1).amax(1) == 0
        done |= _shift(moved, centroids) <= threshold[active]
        labels, centroids = step.labels, moved
        if done.any():
            result[active[done]], iterations[active[done]] = centroids[done], iteration
            rest = (~done).nonzero()[:, 0]
            active, labels, centroids = active[rest], labels[rest], centroids[rest]
            if not len(rest):
                break
            current = current.images(rest)
            make_step = stepper(current)
    result[active] = centroids
    return result, iterations


def means(composite: Composite, step: Step, centroids: Float[Tensor, "B K D"]) -> Float[Tensor, "B K D"]:
    """Computes the clusters' means; empty clusters move to the points that are farthest from their centroids."""
    counts, sums = step.counts, step.sums
    empty = (counts == 0).any(1)
    if empty.any():
        counts, sums = _relocate(composite, step, centroids, empty)
    return torch.where(counts[:, :, None] > 0, sums / counts.clamp_min(1)[:, :, None], centroids)


def _relocate(
    composite: Composite, step: Step, centroids: Float[Tensor, "B K D"], empty: Bool[Tensor, " B"]
) -> tuple[Float[Tensor, "B K"], Float[Tensor, "B K D"]]:
    counts, sums = step.counts.clone(), step.sums.clone()
    for i in empty.nonzero()[:, 0].tolist():
        image, labels = composite.images(torch.tensor([i])), step.labels[i].flatten()
        for cluster, far in relocations(image, labels, step.counts[i], centroids[i]):
            old, point = int(labels[far]), _point(image, far)
            counts[i, old] -= 1
            sums[i, old] -= point
            counts[i, cluster], sums[i, cluster] = 1, point
    return counts, sums


def relocations(
    image: Composite, labels: UInt8[Tensor, " N"], counts: Float[Tensor, " K"], centroids: Float[Tensor, "K D"]
) -> list[tuple[int, int]]:
    """Returns the empty clusters that move, each with the index of its point; none moves a negligible distance."""
    empty: list[int] = (counts == 0).nonzero()[:, 0].tolist()
    if not empty:
        return []
    distances = _distances(image, labels, centroids)
    negligible = 1e-6 * image.squared_norms().max()
    pairs = zip(empty, _farthest(distances, len(empty)), strict=False)
    return [(cluster, far) for cluster, far in pairs if distances[far] > negligible]


def _farthest(distances: Float[Tensor, " N"], count: int) -> list[int]:
    """Indices of the ``count`` farthest points; ties are resolved by numpy's partition, as in scikit-learn."""
    count = min(count, len(distances))
    farthest: list[int] = np.argpartition(distances.cpu().numpy(), -count)[: -count - 1 : -1].tolist()
    return farthest


def _distances(image: Composite, labels: UInt8[Tensor, " N"], centroids: Float[Tensor, "K D"]) -> Float[Tensor, " N"]:
    own = labels.long()
    products = image.project(centroids[None])[0].flatten(1).gather(0, own[None])[0]
    return image.squared_norms()[0].flatten() - 2 * products + (centroids**2).sum(1)[own]


def _point(image: Composite, index: int) -> Float[Tensor, " D"]:
    y, x = divmod(index, image.size[1])
    return image.points(torch.tensor([y]), torch.tensor([x])).materialise()[0, 0]


def mean_variance(composite: Composite) -> Float64[Tensor, " B"]:
    """Computes the mean over the channels of the points' variance."""
    points = composite.size[0] * composite.size[1]
    ones = torch.ones((composite.batch, 1, *composite.size), device=composite.device)
    mean = composite.pool(ones)[:, 0].double() / points
    return (composite.total_squared_norm() / points - (mean**2).sum(1)) / sum(composite.channels)


def _shift(new: Float[Tensor, "B K D"], old: Float[Tensor, "B K D"]) -> Float64[Tensor, " B"]:
    return ((new - old).double() ** 2).sum((1, 2))
