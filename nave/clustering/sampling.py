"""What seedings draw from and how: the points on the grid, random numbers, indices by weight."""

import math
from functools import lru_cache

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from nave.composite.composite import Composite


def grid_points(composite: Composite) -> Composite:
    """Selects the points nearest to the centres of the finest grid: every ``H/h``-th row, every ``W/w``-th column."""
    finest = max(composite.blocks, key=lambda block: block.features.shape[2] * block.features.shape[3])
    height, width = composite.size
    ys = _centres(finest.features.shape[2], height, finest.rows.device)
    xs = _centres(finest.features.shape[3], width, finest.cols.device)
    return composite.points(ys, xs)


@lru_cache(maxsize=256)
def _centres(cells: int, points: int, device: torch.device) -> Int64[Tensor, " n"]:
    cells = min(cells, points)
    return ((torch.arange(cells, device=device) + 0.5) * points / cells).long()


def uniforms(seeds: Int64[Tensor, " B"], restarts: int, k: int) -> Float[Tensor, "B R K T"]:
    """Draws the random numbers of every image from a generator of its own, on the CPU."""
    shape = (restarts, k, 2 + int(math.log(k)))  # as many trials as scikit-learn
    generators = [torch.Generator().manual_seed(seed) for seed in seeds.tolist()]
    return torch.stack([torch.rand(shape, generator=g, dtype=torch.float64) for g in generators])


def sample(weights: Float[Tensor, "B N"], draws: Float[Tensor, "B T"]) -> Int64[Tensor, "B T"]:
    """Draws indices with probabilities proportional to ``weights``; the last one where all are zero."""
    cumulative = weights.double().cumsum(1)
    thresholds = draws * cumulative[:, -1:]
    return torch.searchsorted(cumulative, thresholds, right=True).clamp_max(weights.shape[1] - 1)
