"""Composites with known or realistic structure, and a comparison of maps that ignores ties."""

import torch
from torch.nn import functional

from tests.helpers import parts

PADDED, IMAGE = (63, 84), (60, 79)
GRIDS = {"one grid": [(24, 9, 12), (24, 9, 12)], "two grids": [(12, 18, 24), (24, 9, 12)]}


def smooth(batch, channels, height, width, seed=0):
    """Like activations: neighbours resemble each other, and points are noisy."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.randn(batch, channels, -(-height // 3), -(-width // 3), generator=generator)
    fine = torch.randn(batch, channels, height, width, generator=generator)
    return functional.interpolate(coarse, size=(height, width), mode="bicubic") + 0.2 * fine + 0.5


def layer_grids(grids="one grid", batch=2, seed=0):
    return {f"layer{i}": smooth(batch, *grid, seed=10 * seed + i) for i, grid in enumerate(GRIDS[grids])}


def composed(grids, **options):
    """The composite of the grids of an image that does not fill the network's input."""
    return parts.composer(**options)(parts.activations(grids, PADDED, IMAGE))


def composite(grids="one grid", batch=2, seed=0, **options):
    return composed(layer_grids(grids, batch, seed), **options)


def composite_of_grid(grid, **options):
    """One layer, every grid point 4 x 4 pixels."""
    size = (4 * grid.shape[2], 4 * grid.shape[3])
    return parts.composer(**{"normalisation": "none", **options})(parts.activations([grid], size))


def composite_of_points(points):
    """The points ``(N, D)`` themselves, in one row."""
    return composite_of_grid(points.T[None, :, None].contiguous(), resolution="grid")


def blobs(counts=(20, 30, 14), channels=8, spread=0.01, seed=0):
    """``counts`` points around each of several distant centres, as a composite of 1 x N points; each point's centre."""
    generator = torch.Generator().manual_seed(seed)
    centres = 10 * torch.randn(len(counts), channels, generator=generator)
    blob = torch.arange(len(counts)).repeat_interleave(torch.tensor(counts))
    blob = blob[torch.randperm(len(blob), generator=generator)]
    noise = spread * torch.randn(len(blob), channels, generator=generator)
    return composite_of_points(centres[blob] + noise), blob


def ties(composite, centroids, tolerance=1e-5):
    """Points ``(B, H, W)`` whose two nearest centroids are equally far, up to rounding."""
    X, c = composite.materialise().double(), centroids.double()
    scores = X @ c.transpose(1, 2) - (c**2).sum(2)[:, None] / 2
    best = scores.topk(min(2, scores.shape[2]), dim=2).values
    rounding = tolerance * X.norm(dim=2) * c.norm(dim=2).max(1, keepdim=True).values
    return (best[:, :, 0] - best[:, :, -1] <= rounding).view(len(X), *composite.size)


def same_maps(composite, clusters, expected):
    """Whether labels agree wherever rounding does not decide."""
    return bool(((clusters.labels == expected.labels) | ties(composite, clusters.centroids)).all())


def start_with_empty(problem, empty):
    """Initial centroids of two images, of which ``empty`` are nobody's nearest."""
    X = problem.materialise()
    far = 1e3 + torch.arange(empty)[None, :, None].expand(2, -1, X.shape[2])
    return torch.cat([far[:, :1], X[:, [5, 2000]], far[:, 1:]], dim=1)
