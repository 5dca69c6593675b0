"""Initial centroids: greedy k-means++ and Lloyd on the grid's points, where both are cheap."""

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from nave.clustering.batched_seeding import initial_coefficients
from nave.clustering.gram import Gram
from nave.clustering.lloyd import lloyd
from nave.clustering.precision import full_precision
from nave.clustering.sampling import grid_points, sample, uniforms
from nave.composite.composite import Composite


def initial_centroids(
    composite: Composite, k: int, seeds: Int64[Tensor, " B"], restarts: int = 1
) -> Float[Tensor, "B K D"]:
    """Clusters the grid's points: the best of ``restarts`` k-means++ seedings, each refined to convergence.

    Random numbers are drawn on the CPU, from one generator per image.
    """
    if composite.device.type != "cpu":
        with full_precision():
            gram = Gram.from_composite(composite)
            return gram.centroids(initial_coefficients(composite, gram, k, seeds, restarts))
    points = grid_points(composite)
    X = points.materialise()
    draws = uniforms(seeds, restarts, k)
    seeded = [kmeans_plus_plus(X, draws[:, restart]) for restart in range(restarts)]
    runs = [lloyd(points, centroids) for centroids in seeded]
    centroids = torch.stack([run.centroids for run in runs])
    best = torch.stack([run.inertia for run in runs]).argmin(0)
    return centroids[best, torch.arange(len(X))]


def kmeans_plus_plus(X: Float[Tensor, "B N D"], draws: Float[Tensor, "B K T"]) -> Float[Tensor, "B K D"]:
    """Draws centroids by greedy k-means++ (Arthur and Vassilvitskii 2007) with ``T`` trials each, as scikit-learn.

    Once every point equals a centroid, further centroids repeat an earlier one. ``draws`` in [0, 1) choose the
    candidates.
    """
    images = torch.arange(len(X), device=X.device)
    norms = (X * X).sum(2)
    first = (draws[:, 0, 0] * X.shape[1]).long()
    centroids = [X[images, first]]
    closest = _squared_distances(X, norms, first[:, None])[:, :, 0]
    for step in range(1, draws.shape[1]):
        candidates = sample(closest, draws[:, step])
        distances = torch.minimum(_squared_distances(X, norms, candidates), closest[:, :, None])
        best = distances.sum(1, dtype=torch.float64).argmin(1)
        centroids.append(X[images, candidates[images, best]])
        closest = distances[images, :, best]
    return torch.stack(centroids, dim=1)


def _squared_distances(
    X: Float[Tensor, "B N D"], norms: Float[Tensor, "B N"], index: Int64[Tensor, "B T"]
) -> Float[Tensor, "B N T"]:
    candidates = X.gather(1, index[:, :, None].expand(-1, -1, X.shape[2]))
    products = X @ candidates.transpose(1, 2)
    return (norms[:, :, None] + norms.gather(1, index)[:, None] - 2 * products).clamp_min(0)
