"""Lloyd's iterations on the GPU, fused in Triton: upsampling, argmax and pooling of the masks, cell by cell.

A cell is the area between four neighbouring grid points. Its pixels depend on the scores of these four points alone and
contribute to the sums of these four alone. Each cell writes its own sums, so the order of additions is fixed. Sizes are
no constants of the compiled code, so that images of any size share it.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
import triton
import triton.language as tl
from jaxtyping import Float, Int
from torch import Tensor

from nave.clustering.batched import Assignment, State, Stop
from nave.clustering.gram import Points
from nave.clustering.steps import InterpolationWeights, interpolation_weights
from nave.composite.composite import ROUNDING

BLOCK = 512  # grid points that a program reads at a time
NEAR = 1e-5  # squared distance of centroids, relative to their squared length, that float32 products tell from zero


@dataclass(frozen=True)
class Axis:
    """Interpolation weights of one axis, by cell: cell ``i`` holds the points ``start[i]`` to ``start[i + 1]``.

    Cell ``i`` lies between the grid points ``i - 1`` and ``i``; the first and the last one lie outside the grid.
    """

    start: Int[Tensor, " cells_1"]
    weight: Float[Tensor, " N"]  # of grid point ``i``
    tile: int  # smallest power of two that no cell exceeds

    @classmethod
    def from_weights(cls, weights: InterpolationWeights, cells: int, device: torch.device) -> "Axis":
        """Groups points by cell; those before the first grid point belong to it alone."""
        outside = (weights.first == 0) & (weights.weight == 0)
        cell = np.where(outside, 0, weights.first + 1)
        weight = np.where(outside, 1, weights.weight).astype(np.float32)
        start = np.searchsorted(cell, np.arange(cells + 1)).astype(np.int32)
        tile = 1 << int(np.diff(start).max() - 1).bit_length()
        return cls(torch.from_numpy(start).to(device), torch.from_numpy(weight).to(device), tile)


@lru_cache(maxsize=256)
def axis(operator: Float[Tensor, "N n"]) -> Axis | None:
    """The axis of an upsampling operator, made once; None for one that has no two weights per point."""
    weights = interpolation_weights(operator.cpu().numpy())
    return None if weights is None else Axis.from_weights(weights, operator.shape[1] + 1, operator.device)


class FusedIterations:
    """One grid, bilinear or nearest, no scale: four launches an iteration, none of which waits for the host."""

    def __init__(self, points: Points, stop: Stop, rows: Axis, cols: Axis) -> None:
        self.points, self.stop, self.rows, self.cols = points, stop, rows, cols
        self.near = 4 * ROUNDING**2 * points.gram.longest()
        self.grid = points.composite.blocks[0].features.shape[2:]

    @classmethod
    def from_points(cls, points: Points, stop: Stop) -> "FusedIterations | None":
        """Returns None for a composite that the kernels do not support."""
        block = points.composite.blocks[0]
        if len(points.composite.blocks) > 1 or block.scale is not None:
            return None
        rows, cols = axis(block.rows), axis(block.cols)
        return None if rows is None or cols is None else cls(points, stop, rows, cols)

    def assign(self, state: State) -> Assignment:
        """See :class:`nave.clustering.batched.Iterations`."""
        means, counts, _ = self._means(state, torch.ones_like(state.status))
        return Assignment(state.labels, counts, means * counts[:, :, None])

    def advance(self, state: State) -> None:
        """See :class:`nave.clustering.batched.Iterations`."""
        means, counts, moved = self._means(state, state.status)
        products = self.points.gram.times(means)
        B, K, M = means.shape
        clusters = triton.next_power_of_2(K)
        _update[(B,)](
            state.coefficients, state.products, state.half_norms, state.status, state.iterations, state.changed,
            means, products, counts, moved, self.near, self.stop.moved, self.stop.iterations,
            K, M, moved.shape[1], NEAR=NEAR, CLUSTERS=clusters, BLOCK=BLOCK, TILE=max(16, 2048 // clusters),
        )  # fmt: skip

    def _means(self, state: State, active: Int[Tensor, " B"]) -> tuple[Tensor, Tensor, Tensor]:
        """Assigns every point of active images; coefficients of the means, counts, and cells with new labels."""
        (B, K, M), (h, w) = state.coefficients.shape, self.grid
        cells = (h + 1) * (w + 1)
        changed = state.status.new_empty((B, cells))
        corners = state.products.new_empty((4, B, K, cells))
        size = self.rows.tile * self.cols.tile
        _assign[(B * cells,)](
            state.products, state.half_norms, active, self.rows.start, self.cols.start, self.rows.weight,
            self.cols.weight, state.labels, changed, corners, B, K, M, h, w, *self.points.composite.size,
            TY=self.rows.tile, TX=self.cols.tile, num_warps=min(max(size // 256, 1), 8),
        )  # fmt: skip
        means, counts = torch.empty_like(state.coefficients), state.products.new_empty((B, K))
        _pool[(B * K,)](corners, active, state.coefficients, means, counts, B, K, M, h, w, BLOCK=BLOCK)
        return means, counts, changed


@triton.jit(do_not_specialize=["B", "K", "M", "h", "w", "H", "W"])  # type: ignore[untyped-decorator]
def _assign(  # type: ignore[no-untyped-def]
    products, half_norms, active, row_start, col_start, row_weight, col_weight, labels, changed, corners,
    B, K, M, h, w, H, W, TY: tl.constexpr, TX: tl.constexpr,
):  # fmt: skip
    pid = tl.program_id(0)
    cells = (h + 1) * (w + 1)
    b, cell = pid // cells, pid % cells
    if tl.load(active + b) != 1:
        return
    i, j = cell // (w + 1), cell % (w + 1)
    top, bottom = tl.maximum(i - 1, 0), tl.minimum(i, h - 1)
    left, right = tl.maximum(j - 1, 0), tl.minimum(j, w - 1)
    y = tl.load(row_start + i) + tl.arange(0, TY)
    x = tl.load(col_start + j) + tl.arange(0, TX)
    in_rows, in_cols = y < tl.load(row_start + i + 1), x < tl.load(col_start + j + 1)
    inside = in_rows[:, None] & in_cols[None, :]
    v = tl.load(row_weight + y, mask=in_rows, other=0.0)[:, None]
    u = tl.load(col_weight + x, mask=in_cols, other=0.0)[None, :]
    best = tl.full((TY, TX), float("-inf"), tl.float32)
    winner = tl.zeros((TY, TX), tl.int32)
    image = b.to(tl.int64) * K
    for k in range(K):
        grid = products + (image + k) * M
        half_norm = tl.load(half_norms + image + k)
        top_left, bottom_left = tl.load(grid + top * w + left), tl.load(grid + bottom * w + left)
        top_right, bottom_right = tl.load(grid + top * w + right), tl.load(grid + bottom * w + right)
        at_left = top_left + v * (bottom_left - top_left)
        at_right = top_right + v * (bottom_right - top_right)
        score = at_left + u * (at_right - at_left) - half_norm
        wins = score > best
        best = tl.where(wins, score, best)
        winner = tl.where(wins, k, winner)
    pixels = labels + (b.to(tl.int64) * H + y[:, None]) * W + x[None, :]
    before = tl.load(pixels, mask=inside, other=0).to(tl.int32)
    differs = tl.where(inside & (before != winner), 1, 0)
    tl.store(changed + pid, tl.max(tl.max(differs, axis=1), axis=0))
    tl.store(pixels, winner.to(tl.uint8), mask=inside)
    plane = (B.to(tl.int64) * K) * cells
    for k in range(K):
        mass = tl.where(inside & (winner == k), 1.0, 0.0)
        out = corners + (image + k) * cells + cell
        tl.store(out, tl.sum(tl.sum(mass * (1 - v) * (1 - u), axis=1), axis=0))
        tl.store(out + plane, tl.sum(tl.sum(mass * (1 - v) * u, axis=1), axis=0))
        tl.store(out + 2 * plane, tl.sum(tl.sum(mass * v * (1 - u), axis=1), axis=0))
        tl.store(out + 3 * plane, tl.sum(tl.sum(mass * v * u, axis=1), axis=0))


@triton.jit
def _at_points(corners, plane, p, inside, w):  # type: ignore[no-untyped-def]
    """Adds what the four cells around each grid point contribute to it."""
    before = p + p // w  # a row of cells is one longer than a row of grid points
    total = tl.load(corners + 3 * plane + before, mask=inside, other=0.0)
    total += tl.load(corners + 2 * plane + before + 1, mask=inside, other=0.0)
    total += tl.load(corners + plane + before + w + 1, mask=inside, other=0.0)
    return total + tl.load(corners + before + w + 2, mask=inside, other=0.0)


@triton.jit(do_not_specialize=["B", "K", "M", "h", "w"])  # type: ignore[untyped-decorator]
def _pool(  # type: ignore[no-untyped-def]
    corners, active, coefficients, means, counts, B, K, M, h, w, BLOCK: tl.constexpr
):
    pid = tl.program_id(0)
    if tl.load(active + pid // K) != 1:
        return
    cells, n = (h + 1) * (w + 1), h * w
    plane = (B.to(tl.int64) * K) * cells
    own = corners + pid.to(tl.int64) * cells
    total = tl.zeros((BLOCK,), tl.float32)
    for start in range(0, n, BLOCK):
        p = start + tl.arange(0, BLOCK)
        total += _at_points(own, plane, p, p < n, w)
    count = tl.sum(total, axis=0)
    tl.store(counts + pid, count)
    for start in range(0, M, BLOCK):
        p = start + tl.arange(0, BLOCK)
        at = pid.to(tl.int64) * M + p
        mean = _at_points(own, plane, p, p < n, w) / tl.maximum(count, 1e-30)
        old = tl.load(coefficients + at, mask=p < M, other=0.0)
        tl.store(means + at, tl.where(count > 0, mean, old), mask=p < M)


@triton.jit(do_not_specialize=["max_iter", "K", "M", "cells"])  # type: ignore[untyped-decorator]
def _update(  # type: ignore[no-untyped-def]
    coefficients, products, half_norms, status, iterations, changed, means, new_products, counts, cell_changed,
    near, limit, max_iter, K, M, cells,
    NEAR: tl.constexpr, CLUSTERS: tl.constexpr, BLOCK: tl.constexpr, TILE: tl.constexpr,
):  # fmt: skip
    b = tl.program_id(0)
    if tl.load(status + b) != 1:
        return
    image = b.to(tl.int64) * K
    change = tl.zeros((BLOCK,), tl.int32)
    for start in range(0, cells, BLOCK):
        p = start + tl.arange(0, BLOCK)
        change = tl.maximum(change, tl.load(cell_changed + b.to(tl.int64) * cells + p, mask=p < cells, other=0))
    any_change = tl.max(change, axis=0)
    tl.store(changed + b, any_change)
    ids = tl.arange(0, CLUSTERS)
    smallest = tl.min(tl.load(counts + image + ids, mask=ids < K, other=1.0), axis=0)
    norms = tl.zeros((CLUSTERS,), tl.float32)
    shift = tl.zeros((BLOCK,), tl.float64)
    for k in range(K):
        norm = tl.zeros((BLOCK,), tl.float32)
        for start in range(0, M, BLOCK):
            p = start + tl.arange(0, BLOCK)
            at = (image + k) * M + p
            mean = tl.load(means + at, mask=p < M, other=0.0)
            product = tl.load(new_products + at, mask=p < M, other=0.0)
            old_mean = tl.load(coefficients + at, mask=p < M, other=0.0)
            old_product = tl.load(products + at, mask=p < M, other=0.0)
            norm += mean * product
            shift += (mean - old_mean).to(tl.float64) * (product - old_product).to(tl.float64)
        norms = tl.where(ids == k, tl.sum(norm, axis=0), norms)
    lengths = tl.sqrt(tl.maximum(norms, 0.0))
    floor = tl.load(near + b)
    coincide = tl.zeros((CLUSTERS,), tl.int32)
    for k in range(1, K):
        own = tl.sum(tl.where(ids == k, norms, 0.0), axis=0)
        allowed = NEAR * own + floor
        difference = lengths - tl.sqrt(tl.maximum(own, 0.0))
        similar = (ids < k) & (difference * difference <= allowed)
        if tl.max(similar.to(tl.int32), axis=0) > 0:
            inner = tl.zeros((CLUSTERS,), tl.float32)
            for start in range(0, M, TILE):
                p = start + tl.arange(0, TILE)
                at = (image + ids[:, None]) * M + p[None, :]
                mean = tl.load(means + at, mask=(ids < k)[:, None] & (p < M)[None, :], other=0.0)
                product = tl.load(new_products + (image + k) * M + p, mask=p < M, other=0.0)
                inner += tl.sum(mean * product[None, :], axis=1)
            close = similar & (norms + own - 2 * inner <= allowed)
            coincide = tl.maximum(coincide, close.to(tl.int32))
    if (smallest <= 0) | (tl.max(coincide, axis=0) > 0):
        tl.store(status + b, 2)
    else:
        for k in range(K):
            for start in range(0, M, BLOCK):
                p = start + tl.arange(0, BLOCK)
                at = (image + k) * M + p
                tl.store(coefficients + at, tl.load(means + at, mask=p < M, other=0.0), mask=p < M)
                tl.store(products + at, tl.load(new_products + at, mask=p < M, other=0.0), mask=p < M)
        tl.store(half_norms + image + ids, norms / 2, mask=ids < K)
        count = tl.load(iterations + b) + 1
        tl.store(iterations + b, count)
        still = (any_change > 0) & (tl.sum(shift, axis=0) > tl.load(limit + b)) & (count < max_iter)
        tl.store(status + b, still.to(tl.int32))
