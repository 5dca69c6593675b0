"""Lloyd's iterations on the factored composite, until no label changes."""

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64, Int64, UInt8
from torch import Tensor

from nave.clustering import segments
from nave.clustering.clusters import MAX_K, Clusters, inertia
from nave.clustering.steps import CompiledStepper, Step, Stepper, stepper
from nave.composite import ROUNDING, Composite

ITERATIONS_UNASKED = 4


def lloyd(
    composite: Composite, centroids: Float[Tensor, "B K D"], max_iter: int = 300, tolerance: float = 0.0
) -> Clusters:
    """Labels and inertia under the centroids at which Lloyd's iterations end; arguments as in :func:`converged`."""
    advance = stepper(composite)
    centroids, iterations = _iterated(composite, advance, centroids, max_iter, tolerance)
    step = advance(centroids)
    return Clusters(step.labels, centroids, inertia(composite, centroids, step.counts, step.sums), iterations)


def converged(
    composite: Composite, centroids: Float[Tensor, "B K D"], max_iter: int = 300, tolerance: float = 0.0
) -> tuple[Float[Tensor, "B K D"], Int64[Tensor, " B"]]:
    """Iterates from ``centroids`` until no label changes, or the centroids move by at most ``tolerance``.

    That is a share of the channels' mean variance, as in scikit-learn; 0 waits for the labels. A cluster that loses
    all its points moves to the point farthest from its centroid, as there, if any point lies away from its centroid.
    Returned are the centroids and the number of iterations.
    """
    return _iterated(composite, stepper(composite), centroids, max_iter, tolerance)


def _iterated(
    composite: Composite, advance: Stepper, centroids: Float[Tensor, "B K D"], max_iter: int, tolerance: float
) -> tuple[Float[Tensor, "B K D"], Int64[Tensor, " B"]]:
    threshold = tolerance * _mean_variance(composite) if tolerance else centroids.new_full((composite.batch,), -1)
    if not isinstance(advance, CompiledStepper):
        return _together(composite, advance, centroids, max_iter, threshold)
    result = centroids.clone(memory_format=torch.contiguous_format)
    images = zip(composite.split(), result, threshold.tolist(), strict=True)
    iterations = [
        _compiled(one, advance.image(i), start, limit, max_iter) for i, (one, start, limit) in enumerate(images)
    ]
    return result, torch.tensor(iterations)


def _compiled(
    one: Composite, advance: CompiledStepper, centroids: Float[Tensor, "K D"], threshold: float, max_iter: int
) -> int:
    """The iterations of one image, in place, and their number; those in which a cluster is empty are not compiled."""
    labels = torch.full(one.size, MAX_K, dtype=torch.uint8)
    arrays = (advance.points[0].numpy(), *advance.grid, *advance.rows, *advance.cols, centroids.numpy(), labels.numpy())
    done, iteration = False, 0
    while not done and iteration < max_iter:
        iterations, done = segments.converge(*arrays, max_iter - iteration, threshold, ROUNDING**2)
        iteration += iterations
        if not done and iteration < max_iter:
            step = advance(centroids[None])
            moved = means(one, step, centroids[None])
            done = torch.equal(step.labels[0], labels) or bool(_shift(moved, centroids[None]) <= threshold)
            labels.copy_(step.labels[0])
            centroids.copy_(moved[0])
            iteration += 1
    return iteration


def _together(
    composite: Composite,
    advance: Stepper,
    centroids: Float[Tensor, "B K D"],
    max_iter: int,
    threshold: Float[Tensor, " B"],
) -> tuple[Float[Tensor, "B K D"], Int64[Tensor, " B"]]:
    """All images at once; those that have converged leave the batch.

    On a GPU, convergence and empty clusters are looked at every few iterations only: asking makes the host wait, and
    an iteration after convergence changes nothing.
    """
    every = 1 if centroids.device.type == "cpu" else ITERATIONS_UNASKED
    result = torch.empty_like(centroids)
    iterations = torch.full((composite.batch,), max_iter, device=centroids.device)
    active = torch.arange(composite.batch, device=centroids.device)
    labels = torch.full((composite.batch, *composite.size), MAX_K, dtype=torch.uint8, device=centroids.device)
    current = composite
    for iteration in range(1, max_iter + 1):
        step = advance(centroids)
        asked = iteration % every == 0
        moved = means(current, step, centroids, relocate=asked)
        done = (step.labels ^ labels).flatten(1).amax(1) == 0
        done |= _shift(moved, centroids) <= threshold[active]
        labels, centroids = step.labels, moved
        if asked and done.any():
            result[active[done]], iterations[active[done]] = centroids[done], iteration
            left = (~done).nonzero()[:, 0]
            active, labels, centroids = active[left], labels[left], centroids[left]
            if not len(left):
                break
            current = current.images(left)
            advance = stepper(current)
    result[active] = centroids
    return result, iterations


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
