"""Upsampling as a separable linear operator: one matrix for the rows, one for the columns.

What follows from an operator alone is kept for the next batch: a tensor is hashed by identity, and :func:`operator`
returns the same tensor for the same arguments.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

Upsampling = Literal["bilinear", "bicubic", "nearest"]


@lru_cache(maxsize=256)
def upsampling_matrix(source: int, target: int, upsampling: Upsampling) -> Float[Tensor, "target source"]:
    """The matrix of ``functional.interpolate`` along one dimension (``align_corners=False``); rows sum to 1."""
    impulses = torch.eye(source, dtype=torch.float32, device="cpu").view(1, source, source, 1)
    corners = None if upsampling == "nearest" else False
    response = functional.interpolate(impulses, size=(target, 1), mode=upsampling, align_corners=corners)
    return response[0, :, :, 0].T.contiguous()


@lru_cache(maxsize=256)
def operator(
    source: int, target: int, upsampling: Upsampling, points: int, device: torch.device
) -> Float[Tensor, "points source"]:
    """The first ``points`` rows of :func:`upsampling_matrix` on a device, copied there once."""
    return upsampling_matrix(source, target, upsampling)[:points].to(device)


def moments(
    grid: Float[Tensor, "B C h w"], rows: Float[Tensor, "H h"], cols: Float[Tensor, "W w"]
) -> tuple[Float[Tensor, "B C 1 1"], Float[Tensor, "B C 1 1"]]:
    """Computes mean and standard deviation of every channel over the upsampled points, without upsampling."""
    points = rows.shape[0] * cols.shape[0]
    mean = (grid.flatten(2) @ _column_sums(rows, cols) / points)[:, :, None, None]
    variance = second_moments(grid - mean, rows, cols) / points
    return mean, variance.clamp_min(0).sqrt()[:, :, None, None]


def second_moments(
    grid: Float[Tensor, "B C h w"], rows: Float[Tensor, "H h"], cols: Float[Tensor, "W w"]
) -> Float[Tensor, "B C"]:
    """Computes ``sum_p x_c(p)^2`` of every channel over the upsampled points, without upsampling."""
    return ((overlaps(rows) @ grid) * (grid @ overlaps(cols))).sum((2, 3))


@lru_cache(maxsize=256)
def overlaps(operator: Float[Tensor, "N n"]) -> Float[Tensor, "n n"]:
    """Computes ``U^T U`` of an operator ``U``."""
    return operator.T @ operator


@lru_cache(maxsize=256)
def _column_sums(rows: Float[Tensor, "H h"], cols: Float[Tensor, "W w"]) -> Float[Tensor, " hw"]:
    return torch.outer(rows.sum(0), cols.sum(0)).flatten()


Neighbours = Callable[[int, int], Float[Tensor, "B i j"]]


def squared_norms(
    grid: Float[Tensor, "B C h w"], rows: Float[Tensor, "H h"], cols: Float[Tensor, "W w"]
) -> Float[Tensor, "B H W"]:
    """Computes ``|x(p)|^2`` of the upsampled points from inner products of neighbouring grid points."""

    def products(dy: int, dx: int) -> Float[Tensor, "B i j"]:
        h, w = grid.shape[2] - dy, grid.shape[3] - abs(dx)
        here = grid[:, :, :h, max(-dx, 0) : max(-dx, 0) + w]
        there = grid[:, :, dy:, max(dx, 0) : max(dx, 0) + w]
        return (here * there).sum(1)

    return upsampled_squared_norms(products, rows, cols)


def upsampled_squared_norms(
    products: Neighbours, rows: Float[Tensor, "H h"], cols: Float[Tensor, "W w"]
) -> Float[Tensor, "B H W"]:
    """Computes ``|x(p)|^2`` of the upsampled points.

    A point is a weighted mean of ``t x t`` grid points (``t`` is 2 for bilinear, 4 for bicubic), so its squared norm is
    a weighted sum of ``<f_ij, f_i+dy,j+dx>``. These weights are separable too.

    Args:
        products: returns ``<f_ij, f_i+dy,j+dx>`` of all pairs within the grid, for ``dy >= 0`` and any sign of ``dx``.
        rows, cols: the operators of both dimensions.
    """
    total = rows.new_zeros(1)
    for dy in range(_taps(rows)):
        for dx in range(-_taps(cols) + 1, _taps(cols)):
            if dy == 0 and dx < 0:
                continue
            multiplicity = 1.0 if dy == dx == 0 else 2.0  # a pair of different points occurs in both orders
            weighted = _pair_weights(rows, dy) @ products(dy, dx) @ _pair_weights(cols, dx).T
            total = total + multiplicity * weighted
    return total.clamp_min(0)


@lru_cache(maxsize=256)
def _taps(operator: Float[Tensor, "N n"]) -> int:
    return min(int((operator != 0).sum(1).max()), operator.shape[1])


@lru_cache(maxsize=1024)
def _pair_weights(operator: Float[Tensor, "N n"], shift: int) -> Float[Tensor, "N m"]:
    n = operator.shape[1] - abs(shift)
    start, other = max(-shift, 0), max(shift, 0)
    return operator[:, start : start + n] * operator[:, other : other + n]
