"""Lloyd's iterations on the factored composite, until no label changes; :mod:`nave.clustering.batched` is for GPUs."""

import numpy as np
import torch
from jaxtyping import Float, Float64, UInt8
from torch import Tensor

from nave.clustering.interface import Clusters, concatenate, inertia
from nave.clustering.number import MAX_K
from nave.clustering.steps import CompiledStepper, Step, Stepper, stepper
from nave.composite.composite import Composite


def lloyd(
    composite: Composite, centroids: Float[Tensor, "B K D"], max_iter: int = 300, tolerance: float = 0.0
) -> Clusters:
    """Runs :func:`iterate` on every image, and assigns every point to the final centroids.

    Image by image: a batch gains nothing on a CPU, and rounding would depend on the other images.
    """
    results = []
    for image, start in zip(composite.split(), centroids.split(1), strict=True):
        make_step = stepper(image)
        found, count = iterate(image, make_step, start, max_iter, tolerance)
        step, iterations = make_step(found), torch.tensor([count], device=found.device)
        results.append(Clusters(step.labels, found, inertia(image, found, step.counts, step.sums), iterations))
    return concatenate(results)


def iterate(
    image: Composite, make_step: Stepper, centroids: Float[Tensor, "1 K D"], max_iter: int = 300, tolerance: float = 0.0
) -> tuple[Float[Tensor, "1 K D"], int]:
    """The centroids of one image once no label changes or they hardly move, and the number of iterations.

    As in scikit-learn, an empty cluster moves to the point that is farthest from its centroid; it stays where every
    point equals its centroid. Iterations with empty clusters are not compiled.

    Args:
        tolerance: stop once the centroids' squared movement is at most this share of the channels' mean variance;
            0 iterates until no label changes.
    """
    centroids = centroids.clone(memory_format=torch.contiguous_format)
    labels = torch.full((1, *image.size), MAX_K, dtype=torch.uint8, device=centroids.device)
    threshold = float(tolerance * mean_variance(image)) if tolerance else -1.0
    done, iteration = False, 0
    while not done and iteration < max_iter:
        if isinstance(make_step, CompiledStepper):
            count, done = make_step.converge(centroids, labels, max_iter - iteration, threshold)
            iteration += count
        if not done and iteration < max_iter:
            step = make_step(centroids)
            moved = means(image, step, centroids)
            shift = float(((moved - centroids).double() ** 2).sum())
            done = torch.equal(step.labels, labels) or shift <= threshold
            labels.copy_(step.labels)
            centroids.copy_(moved)
            iteration += 1
    return centroids, iteration


def means(image: Composite, step: Step, centroids: Float[Tensor, "1 K D"]) -> Float[Tensor, "1 K D"]:
    """Computes the clusters' means; empty clusters move to the points that are farthest from their centroids."""
    counts, sums, labels = step.counts.clone(), step.sums.clone(), step.labels[0].flatten()
    for cluster, far in relocations(image, labels, step.counts[0], centroids[0]):
        old, point = int(labels[far]), _point(image, far)
        counts[0, old] -= 1
        sums[0, old] -= point
        counts[0, cluster], sums[0, cluster] = 1, point
    return torch.where(counts[:, :, None] > 0, sums / counts.clamp_min(1)[:, :, None], centroids)


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
