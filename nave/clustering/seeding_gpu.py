"""Greedy k-means++ on a GPU in one launch: a Triton program per image, without the host.

See :func:`nave.clustering.batched_seeding.kmeans_plus_plus` for the same on tensors.
"""

from typing import no_type_check  # innermost: Triton compiles no wrapper that checks shapes in tests

import triton
import triton.language as tl

BLOCK = tl.constexpr(256)  # points at a time
SCAN = tl.constexpr(1024)  # and while their weights are added up


@triton.jit(do_not_specialize=["trials", "K", "M", "h", "w", "H", "W"])
@no_type_check
def draw(
    matrix, draws, row_cell, col_cell, row_weight, col_weight, norms, closest, cumulative, coefficients,
    trials, K, M, h, w, H, W,
):  # fmt: skip
    """Draws ``K`` points of a composite of ``H x W`` points and writes their coefficients."""
    b = tl.program_id(0).to(tl.int64)
    points = H * W
    matrix += b * M * M
    draws += b * K * trials
    coefficients += b * K * M
    norms, closest, cumulative = norms + b * points, closest + b * points, cumulative + b * points
    for start in range(0, points, BLOCK):
        p = start + tl.arange(0, BLOCK)
        inside = p < points
        at = _corners(row_cell, col_cell, row_weight, col_weight, p, inside, h, w, W)
        tl.store(norms + p, _product(matrix, M, at, at, inside), mask=inside)
        tl.store(closest + p, tl.full((BLOCK,), float("inf"), tl.float32), mask=inside)
    tl.debug_barrier()
    for step in range(K):
        chosen = (tl.load(draws) * points).to(tl.int32)
        if step > 0:
            total = _accumulate(closest, cumulative, points)
            tl.debug_barrier()
            least = tl.full((), float("inf"), tl.float64)
            for trial in range(trials):
                index = _find(cumulative, tl.load(draws + step * trials + trial) * total, points)
                at = _corners(row_cell, col_cell, row_weight, col_weight, index, True, h, w, W)
                potential = tl.zeros((BLOCK,), tl.float64)
                for start in range(0, points, BLOCK):
                    p = start + tl.arange(0, BLOCK)
                    to = _corners(row_cell, col_cell, row_weight, col_weight, p, p < points, h, w, W)
                    potential += _closest(matrix, norms, closest, M, at, to, index, p, p < points).to(tl.float64)
                sum_of_all = tl.sum(potential, axis=0)
                better = (trial == 0) | (sum_of_all < least)
                least = tl.where(better, sum_of_all, least)
                chosen = tl.where(better, index, chosen)
            tl.debug_barrier()
        at = _corners(row_cell, col_cell, row_weight, col_weight, chosen, True, h, w, W)
        for start in range(0, points, BLOCK):
            p = start + tl.arange(0, BLOCK)
            to = _corners(row_cell, col_cell, row_weight, col_weight, p, p < points, h, w, W)
            distance = _closest(matrix, norms, closest, M, at, to, chosen, p, p < points)
            tl.store(closest + p, distance, mask=p < points)
        _write(coefficients + step * M, at, M)
        tl.debug_barrier()


@triton.jit
@no_type_check
def _corners(row_cell, col_cell, row_weight, col_weight, p, inside, h, w, W):
    """Returns the four grid points whose weighted mean is a point, and their weights."""
    y, x = p // W, p % W
    i, j = tl.load(row_cell + y, mask=inside, other=0), tl.load(col_cell + x, mask=inside, other=0)
    v, u = tl.load(row_weight + y, mask=inside, other=0.0), tl.load(col_weight + x, mask=inside, other=0.0)
    top, bottom = tl.maximum(i - 1, 0) * w, tl.minimum(i, h - 1) * w
    left, right = tl.maximum(j - 1, 0), tl.minimum(j, w - 1)
    indices = (top + left, top + right, bottom + left, bottom + right)
    return indices, ((1 - v) * (1 - u), (1 - v) * u, v * (1 - u), v * u)


@triton.jit
@no_type_check
def _product(matrix, M, a, b, inside):
    """Returns the inner products of points, from those of their corners."""
    total = a[1][0] * _weighted(matrix, a[0][0] * M, b, inside) + a[1][1] * _weighted(matrix, a[0][1] * M, b, inside)
    total += a[1][2] * _weighted(matrix, a[0][2] * M, b, inside)
    return total + a[1][3] * _weighted(matrix, a[0][3] * M, b, inside)


@triton.jit
@no_type_check
def _weighted(matrix, row, b, inside):
    total = b[1][0] * tl.load(matrix + row + b[0][0], mask=inside, other=0.0)
    total += b[1][1] * tl.load(matrix + row + b[0][1], mask=inside, other=0.0)
    total += b[1][2] * tl.load(matrix + row + b[0][2], mask=inside, other=0.0)
    return total + b[1][3] * tl.load(matrix + row + b[0][3], mask=inside, other=0.0)


@triton.jit
@no_type_check
def _closest(matrix, norms, closest, M, at, to, index, p, inside):
    """Returns squared distances from the nearest of the drawn points and one more; zero outside."""
    distance = tl.load(norms + p, mask=inside, other=0.0) + tl.load(norms + index)
    distance = tl.maximum(distance - 2 * _product(matrix, M, at, to, inside), 0.0)
    return tl.where(inside, tl.minimum(distance, tl.load(closest + p, mask=inside, other=0.0)), 0.0)


@triton.jit
@no_type_check
def _accumulate(weights, cumulative, points):
    """Writes cumulative sums; returns the last one."""
    total = tl.full((), 0.0, tl.float64)
    for start in range(0, points, SCAN):
        p = start + tl.arange(0, SCAN)
        sums = total + tl.cumsum(tl.load(weights + p, mask=p < points, other=0.0).to(tl.float64), axis=0)
        tl.store(cumulative + p, sums, mask=p < points)
        total = tl.max(sums, axis=0)
    return total


@triton.jit
@no_type_check
def _find(cumulative, threshold, points):
    """Returns the first index whose cumulative sum is above the threshold, or the last index."""
    index = tl.full((), 0, tl.int32)
    for start in range(0, points, SCAN):
        p = start + tl.arange(0, SCAN)
        below = tl.load(cumulative + p, mask=p < points, other=float("inf")) <= threshold
        index += tl.sum((below & (p < points)).to(tl.int32), axis=0)
    return tl.minimum(index, points - 1)


@triton.jit
@no_type_check
def _write(coefficients, at, M):
    for start in range(0, M, BLOCK):
        p = start + tl.arange(0, BLOCK)
        weight = tl.where(p == at[0][0], at[1][0], 0.0) + tl.where(p == at[0][1], at[1][1], 0.0)
        weight += tl.where(p == at[0][2], at[1][2], 0.0) + tl.where(p == at[0][3], at[1][3], 0.0)
        tl.store(coefficients + p, weight, mask=p < M)
