"""Initial centroids: greedy k-means++ and Lloyd on the grid's points, where both are cheap."""

import math

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from nave.clustering.lloyd import lloyd, lloyd_centroids
from nave.composite.composite import Composite


def grid_points(composite: Composite) -> Composite:
    """Selects the points nearest to the centres of the finest grid: every ``H/h``-th row, every ``W/w``-th column."""
    finest = max(composite.blocks, key=lambda block: block.features.shape[2] * block.features.shape[3])
    height, width = composite.size
    ys = _centres(finest.features.shape[2], height, finest.rows.device)
    xs = _centres(finest.features.shape[3], width, finest.cols.device)
    return composite.points(ys, xs)


def _centres(cells: int, points: int, device: torch.device) -> Int64[Tensor, " n"]:
    cells = min(cells, points)
    return ((torch.arange(cells, device=device) + 0.5) * points / cells).long()


def initial_centroids(
    composite: Composite, k: int, seeds: Int64[Tensor, " B"], restarts: int = 1
) -> Float[Tensor, "B K D"]:
    """Clusters the grid's points: the best of ``restarts`` k-means++ seedings, each refined to convergence.

    Random numbers are drawn on the CPU, from one generator per image.
    """
    points = grid_points(composite)
    X = points.materialise()
    uniforms = _uniforms(seeds, restarts, k).to(X.device)
    seeded = [kmeans_plus_plus(X, uniforms[:, restart]) for restart in range(restarts)]
    if restarts == 1:
        return lloyd_centroids(points, seeded[0])[0]
    runs = [lloyd(points, centroids) for centroids in seeded]
    centroids = torch.stack([run.centroids for run in runs])
    best = torch.stack([run.inertia for run in runs]).argmin(0)
    return centroids[best, torch.arange(len(X), device=X.device)]


def _trials(k: int) -> int:
    return 2 + int(math.log(k))


def _uniforms(seeds: Int64[Tensor, " B"], restarts: int, k: int) -> Float[Tensor, "B R K T"]:
    shape = (restarts, k, _trials(k))
    generators = [torch.Generator().manual_seed(int(seed)) for seed in seeds]
    return torch.stack([torch.rand(shape, generator=g, dtype=torch.float64) for g in generators])


def kmeans_plus_plus(X: Float[Tensor, "B N D"], uniforms: Float[Tensor, "B K T"]) -> Float[Tensor, "B K D"]:
    """Draws centroids by greedy k-means++ (Arthur and Vassilvitskii 2007) with ``T`` trials each, as scikit-learn.

    Once every point equals a centroid, further centroids repeat an earlier one.

    Args:
        X: points of every image.
        uniforms: random numbers in [0, 1) that choose the candidates.
    """
    images = torch.arange(len(X), device=X.device)
    norms = (X * X).sum(2)
    first = (uniforms[:, 0, 0] * X.shape[1]).long()
    centroids = [X[images, first]]
    closest = _squared_distances(X, norms, first[:, None])[:, :, 0]
    for step in range(1, uniforms.shape[1]):
        candidates = _sample(closest, uniforms[:, step])
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


def _sample(weights: Float[Tensor, "B N"], uniforms: Float[Tensor, "B T"]) -> Int64[Tensor, "B T"]:
    cumulative = weights.double().cumsum(1)
    thresholds = uniforms * cumulative[:, -1:]
    return torch.searchsorted(cumulative, thresholds, right=True).clamp_max(weights.shape[1] - 1)
