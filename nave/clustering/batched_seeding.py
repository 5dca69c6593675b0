"""Initial centroids of all images at once, as coefficients on the grid; see :mod:`nave.clustering.seeding`."""

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from nave.clustering.batched import finish, iterate
from nave.clustering.gram import Gram, Points
from nave.clustering.sampling import grid_points, sample, uniforms
from nave.composite.composite import Composite


def initial_coefficients(
    composite: Composite, gram: Gram, k: int, seeds: Int64[Tensor, " B"], restarts: int = 1
) -> Float[Tensor, "B K M"]:
    """Clusters the grid's points: the best of ``restarts`` k-means++ seedings, each refined to convergence."""
    points = Points(grid_points(composite), gram)
    draws = _to_device(uniforms(seeds, restarts, k), composite.device)
    refined = [iterate(points, kmeans_plus_plus(points, draws[:, restart])) for restart in range(restarts)]
    if restarts == 1:
        return refined[0][0].coefficients
    best = torch.stack([finish(points, *run).inertia for run in refined]).argmin(0)
    return torch.stack([state.coefficients for state, _ in refined])[best, torch.arange(len(best), device=best.device)]


def _to_device(tensor: Tensor, device: torch.device) -> Tensor:
    """Copies without making the host wait."""
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)


def kmeans_plus_plus(points: Points, draws: Float[Tensor, "B K T"]) -> Float[Tensor, "B K M"]:
    """Draws centroids as :func:`nave.clustering.seeding.kmeans_plus_plus`, and returns their coefficients."""
    images = torch.arange(len(draws), device=draws.device)
    norms = points.squared_norms().flatten(1)
    index = (draws[:, 0, :1] * norms.shape[1]).long()
    candidates = points.coefficients(index)
    centroids = [candidates[:, 0]]
    closest = _squared_distances(points, norms, index, candidates)[:, 0]
    for step in range(1, draws.shape[1]):
        index = sample(closest, draws[:, step])
        candidates = points.coefficients(index)
        distances = torch.minimum(_squared_distances(points, norms, index, candidates), closest[:, None])
        best = distances.sum(2, dtype=torch.float64).argmin(1)
        centroids.append(candidates[images, best])
        closest = distances[images, best]
    return torch.stack(centroids, dim=1)


def _squared_distances(
    points: Points, norms: Float[Tensor, "B N"], index: Int64[Tensor, "B T"], candidates: Float[Tensor, "B T M"]
) -> Float[Tensor, "B T N"]:
    products = points.upsample(points.gram.times(candidates)).flatten(2)
    return (norms[:, None] + norms.gather(1, index)[:, :, None] - 2 * products).clamp_min(0)
