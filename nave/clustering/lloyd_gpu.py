"""All of Lloyd's iterations on a GPU in one launch: a Triton program per image, without the host.

A cell is the area between four neighbouring grid points. Its pixels depend on the scores of these four points alone and
contribute to the sums of these four alone. A lane of the program works on every ``LANES``-th column of pixels of a cell
and holds the scores of all clusters. Each cell writes its own sums, so the order of additions is fixed. Sizes are no
constants of the compiled code, so that images of any size share it.
"""

from typing import no_type_check  # innermost: Triton compiles no wrapper that checks shapes in tests

import triton
import triton.language as tl

from nave.clustering import batched

BLOCK = tl.constexpr(256)  # grid points at a time
DEPTH = tl.constexpr(16)  # rows of the Gram matrix at a time
COLUMNS = tl.constexpr(512)  # and columns
NEAR = tl.constexpr(1e-5)  # squared distance, relative to squared length, that float32 products tell from zero
ACTIVE, PAUSED, ASSIGN = tl.constexpr(batched.ACTIVE), tl.constexpr(batched.PAUSED), tl.constexpr(3)  # done: 0


@triton.jit(do_not_specialize=["tall", "wide", "max_iter", "K", "vectors", "h", "w", "H", "W"])
@no_type_check
def iterate(
    coefficients, products, half_norms, mode, status, iterations, changed, labels, means, new_products, counts, corners,
    matrix, near, limit, row_start, col_start, row_weight, col_weight, tall, wide, max_iter, K, vectors, h, w, H, W,
    CLUSTERS: tl.constexpr, CELLS: tl.constexpr, LANES: tl.constexpr, VECTOR: tl.constexpr,
):  # fmt: skip
    """Iterates until the image is done or pauses; ``mode`` ``ASSIGN`` assigns every point and updates nothing."""
    b = tl.program_id(0).to(tl.int64)
    M = vectors * VECTOR  # so that the compiler knows the alignment of rows
    first = b * K
    coefficients, products, means = coefficients + first * M, products + first * M, means + first * M
    new_products, half_norms, counts = new_products + first * M, half_norms + first, counts + first
    corners += 4 * first * (h + 1) * (w + 1)
    labels += b * H * W
    matrix += b * M * M
    count = tl.load(iterations + b)
    stage = tl.load(mode + b)
    while (stage == ACTIVE) | (stage == ASSIGN):
        any_change = _assign(
            products, half_norms, corners, labels, row_start, col_start, row_weight, col_weight,
            (stage == ASSIGN).to(tl.int32), tall, wide, K, M, h, w, W, CLUSTERS, CELLS, LANES,
        )  # fmt: skip
        tl.debug_barrier()
        smallest = _average(corners, coefficients, means, counts, K, M, h, w, CLUSTERS)
        tl.debug_barrier()
        if stage == ASSIGN:
            stage = 0
        else:
            _multiply(means, matrix, new_products, K, M, CLUSTERS)
            tl.debug_barrier()
            norms, shift = _measure(coefficients, products, means, new_products, K, M, CLUSTERS)
            coincide = _coincide(means, new_products, norms, tl.load(near + b), K, M, CLUSTERS)
            tl.store(changed + b, any_change)
            if (smallest <= 0) | (coincide > 0):
                tl.store(status + b, PAUSED)
                stage = 3  # the host needs the labels
            else:
                _copy(means, coefficients, K, M, CLUSTERS)
                _copy(new_products, products, K, M, CLUSTERS)
                ids = tl.arange(0, CLUSTERS)
                tl.store(half_norms + ids, norms / 2, mask=ids < K)
                count += 1
                still = (any_change > 0) & (shift > tl.load(limit + b)) & (count < max_iter)
                stage = still.to(tl.int32)
                tl.store(status + b, stage)
                tl.store(iterations + b, count)
        tl.debug_barrier()


@triton.jit
@no_type_check
def _assign(
    products, half_norms, corners, labels, row_start, col_start, row_weight, col_weight, write, tall, wide,
    K, M, h, w, W, CLUSTERS: tl.constexpr, CELLS: tl.constexpr, LANES: tl.constexpr,
):  # fmt: skip
    """Sums the weights of every cell's points at its four corners; returns whether a sum has changed.

    If none has, no label has, or the means are equal all the same.
    """
    cells = (h + 1) * (w + 1)
    k = tl.arange(0, CLUSTERS)[None, :]
    half = tl.load(half_norms + k, mask=k < K, other=float("inf"))
    lane = tl.arange(0, CELLS * LANES)
    change = tl.zeros((CELLS, CLUSTERS), tl.int32)
    for start in range(0, cells, CELLS):
        cell = start + lane // LANES
        exists = cell < cells
        i, j = cell // (w + 1), cell % (w + 1)
        top_left, top_right, bottom_left, bottom_right = _corners(products, i, j, exists, K, M, h, w, CLUSTERS)
        y0 = tl.load(row_start + i, mask=exists, other=0)
        y1 = tl.load(row_start + i + 1, mask=exists, other=0)
        x0 = tl.load(col_start + j, mask=exists, other=0) + lane % LANES
        x1 = tl.load(col_start + j + 1, mask=exists, other=0)
        at_top_left = tl.zeros((CELLS * LANES, CLUSTERS), tl.float32)
        at_top_right = tl.zeros((CELLS * LANES, CLUSTERS), tl.float32)
        at_bottom_left = tl.zeros((CELLS * LANES, CLUSTERS), tl.float32)
        at_bottom_right = tl.zeros((CELLS * LANES, CLUSTERS), tl.float32)
        for column in range(0, wide, LANES):
            x = x0 + column
            in_column = x < x1
            written = x < write * x1
            u = tl.load(col_weight + x, mask=in_column, other=0.0)
            upper = top_left + u[:, None] * (top_right - top_left)
            slope = bottom_left + u[:, None] * (bottom_right - bottom_left) - upper
            upper -= half
            number = tl.zeros((CELLS * LANES, CLUSTERS), tl.float32)
            lower = tl.zeros((CELLS * LANES, CLUSTERS), tl.float32)
            for row in tl.range(0, tall, loop_unroll_factor=2):
                y = y0 + row
                inside = in_column & (y < y1)
                v = tl.load(row_weight + y, mask=inside, other=0.0)
                score = upper + v[:, None] * slope
                best = tl.max(score, axis=1)
                winner = tl.min(tl.where(score == best[:, None], k, CLUSTERS), axis=1)
                winner = tl.where(winner < K, winner, 0)  # where no score is a number
                tl.store(labels + y * W + x, winner.to(tl.uint8), mask=inside & written)
                wins = k == tl.where(inside, winner, CLUSTERS)[:, None]
                one = tl.where(wins, 1.0, 0.0)
                number += one
                lower += one * v[:, None]
            number -= lower
            at_top_left += number * (1 - u)[:, None]
            at_top_right += number * u[:, None]
            at_bottom_left += lower * (1 - u)[:, None]
            at_bottom_right += lower * u[:, None]
        p = start + tl.arange(0, CELLS)[:, None]
        out, plane, known = corners + k * cells + p, K * cells, (k < K) & (p < cells)
        change |= _replace(out, at_top_left, known, CLUSTERS, CELLS, LANES)
        change |= _replace(out + plane, at_top_right, known, CLUSTERS, CELLS, LANES)
        change |= _replace(out + 2 * plane, at_bottom_left, known, CLUSTERS, CELLS, LANES)
        change |= _replace(out + 3 * plane, at_bottom_right, known, CLUSTERS, CELLS, LANES)
    return tl.max(tl.max(change, axis=1), axis=0)


@triton.jit
@no_type_check
def _corners(products, i, j, exists, K, M, h, w, CLUSTERS: tl.constexpr):
    """Reads the products at the corners of cells, those outside the grid at its edge."""
    k = tl.arange(0, CLUSTERS)[None, :]
    top, bottom = tl.maximum(i - 1, 0) * w, tl.minimum(i, h - 1) * w
    left, right = tl.maximum(j - 1, 0), tl.minimum(j, w - 1)
    row, known = products + k * M, (k < K) & exists[:, None]
    top_left = tl.load(row + (top + left)[:, None], mask=known, other=0.0)
    top_right = tl.load(row + (top + right)[:, None], mask=known, other=0.0)
    bottom_left = tl.load(row + (bottom + left)[:, None], mask=known, other=0.0)
    bottom_right = tl.load(row + (bottom + right)[:, None], mask=known, other=0.0)
    return top_left, top_right, bottom_left, bottom_right


@triton.jit
@no_type_check
def _replace(out, lanes, known, CLUSTERS: tl.constexpr, CELLS: tl.constexpr, LANES: tl.constexpr):
    """Adds the lanes of every cell and writes the sums; returns which differ from those before."""
    sums = tl.sum(tl.reshape(lanes, (CELLS, LANES, CLUSTERS)), axis=1)
    before = tl.load(out, mask=known, other=0.0)
    tl.store(out, sums, mask=known)
    return (known & (before != sums)).to(tl.int32)


@triton.jit
@no_type_check
def _average(corners, coefficients, means, counts, K, M, h, w, CLUSTERS: tl.constexpr):
    """Writes the clusters' sizes and means, of empty ones the centroids; returns the smallest size."""
    ids = tl.arange(0, CLUSTERS)
    k = ids[:, None]
    cells, n = (h + 1) * (w + 1), h * w
    plane, own = K * cells, corners + k * cells
    total = tl.zeros((CLUSTERS, BLOCK), tl.float32)
    for start in range(0, n, BLOCK):
        p = start + tl.arange(0, BLOCK)[None, :]
        inside = (k < K) & (p < n)
        at = own + p + p // w  # a row of cells is one longer than a row of grid points
        pooled = tl.load(at + 3 * plane, mask=inside, other=0.0)
        pooled += tl.load(at + 2 * plane + 1, mask=inside, other=0.0)
        pooled += tl.load(at + plane + w + 1, mask=inside, other=0.0)
        pooled += tl.load(at + w + 2, mask=inside, other=0.0)
        tl.store(means + k * M + p, pooled, mask=inside)
        total += pooled
    count = tl.sum(total, axis=1)
    tl.store(counts + ids, count, mask=ids < K)
    tl.debug_barrier()
    size = count[:, None]
    for start in range(0, M, BLOCK):
        p = start + tl.arange(0, BLOCK)[None, :]
        inside = (k < K) & (p < M)
        pooled = tl.load(means + k * M + p, mask=inside & (p < n), other=0.0)  # further points have no part in means
        old = tl.load(coefficients + k * M + p, mask=inside & (size <= 0), other=0.0)
        tl.store(means + k * M + p, tl.where(size > 0, pooled / tl.maximum(size, 1e-30), old), mask=inside)
    return tl.min(tl.where(ids < K, count, 1.0), axis=0)


@triton.jit
@no_type_check
def _multiply(means, matrix, products, K, M, CLUSTERS: tl.constexpr):
    """Multiplies the means with the Gram matrix in float32."""
    k = tl.arange(0, CLUSTERS)[:, None]
    for start in range(0, M, COLUMNS):
        j = start + tl.arange(0, COLUMNS)[None, :]
        total = tl.zeros((CLUSTERS, COLUMNS), tl.float32)
        for first in range(0, M, DEPTH):
            i = first + tl.arange(0, DEPTH)
            mean = tl.load(means + k * M + i[None, :], mask=(k < K) & (i < M)[None, :], other=0.0)
            gram = tl.load(matrix + i[:, None] * M + j, mask=(i < M)[:, None] & (j < M), other=0.0)
            total = tl.dot(mean, gram, total, input_precision="ieee")
        tl.store(products + k * M + j, total, mask=(k < K) & (j < M))


@triton.jit
@no_type_check
def _measure(coefficients, products, means, new_products, K, M, CLUSTERS: tl.constexpr):
    """Returns the squared norms of the means, and their squared distance from the centroids."""
    k = tl.arange(0, CLUSTERS)[:, None]
    norm = tl.zeros((CLUSTERS, BLOCK), tl.float32)
    shift = tl.zeros((CLUSTERS, BLOCK), tl.float64)
    for start in range(0, M, BLOCK):
        p = start + tl.arange(0, BLOCK)[None, :]
        at, inside = k * M + p, (k < K) & (p < M)
        mean = tl.load(means + at, mask=inside, other=0.0)
        product = tl.load(new_products + at, mask=inside, other=0.0)
        moved = mean - tl.load(coefficients + at, mask=inside, other=0.0)
        norm += mean * product
        shift += moved.to(tl.float64) * (product - tl.load(products + at, mask=inside, other=0.0)).to(tl.float64)
    return tl.sum(norm, axis=1), tl.sum(tl.sum(shift, axis=1), axis=0)


@triton.jit
@no_type_check
def _coincide(means, products, norms, floor, K, M, CLUSTERS: tl.constexpr):
    """Returns whether two means may be equal up to rounding; those of different lengths are not."""
    ids = tl.arange(0, CLUSTERS)
    lengths = tl.sqrt(tl.maximum(norms, 0.0))
    difference = lengths[:, None] - lengths[None, :]
    pairs = (ids[:, None] > ids[None, :]) & (ids[:, None] < K)
    similar = pairs & (difference * difference <= NEAR * norms[:, None] + floor)
    found = tl.max(tl.max(similar.to(tl.int32), axis=1), axis=0)
    if found > 0:
        found = 0
        for k in range(1, K):
            own = tl.sum(tl.where(ids == k, norms, 0.0), axis=0)
            inner = tl.zeros((CLUSTERS, BLOCK), tl.float32)
            for start in range(0, M, BLOCK):
                p = start + tl.arange(0, BLOCK)[None, :]
                mean = tl.load(means + ids[:, None] * M + p, mask=(ids < k)[:, None] & (p < M), other=0.0)
                inner += mean * tl.load(products + k * M + p, mask=p < M, other=0.0)
            close = (ids < k) & (norms + own - 2 * tl.sum(inner, axis=1) <= NEAR * own + floor)
            found = tl.maximum(found, tl.max(close.to(tl.int32), axis=0))
    return found


@triton.jit
@no_type_check
def _copy(source, target, K, M, CLUSTERS: tl.constexpr):
    """Copies the rows of the clusters."""
    k = tl.arange(0, CLUSTERS)[:, None]
    for start in range(0, M, BLOCK):
        p = start + tl.arange(0, BLOCK)[None, :]
        inside = (k < K) & (p < M)
        tl.store(target + k * M + p, tl.load(source + k * M + p, mask=inside, other=0.0), mask=inside)
