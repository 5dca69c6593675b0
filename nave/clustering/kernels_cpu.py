"""Compiled Lloyd iterations on one upsampled grid: upsampling, argmax and pooling of the masks in one pass.

Along a row of pixels, between two neighbouring grid columns, every bilinear score is linear. A cluster that wins at
both ends wins everywhere between them. Where two different clusters win at the ends and no third one reaches the score
at which they cross, no third one wins anywhere, because the maximum of linear functions is convex. All other segments
are searched cluster by cluster. All kernels are in this file, as numba's cache is only invalidated by changes of the
file of the cached function.
"""

from typing import no_type_check

import numba
import numpy as np
from jaxtyping import Float32, Int64, UInt8


@numba.njit(cache=True, nogil=True, boundscheck=False)
@no_type_check  # numba cannot compile the wrapper that checks shapes in tests
def step(  # noqa: PLR0912, PLR0915 - a single pass without calls is fast
    scores: Float32[np.ndarray, "h w K"],
    row_index: Int64[np.ndarray, " H"],
    row_weight: Float32[np.ndarray, " H"],
    col_index: Int64[np.ndarray, " W"],
    col_weight: Float32[np.ndarray, " W"],
    labels: UInt8[np.ndarray, "H W"],
    pooled: Float32[np.ndarray, "K h w"],
) -> None:
    """Writes the cluster of highest score of every point, the lowest id at a tie, and adds ``U^T masks`` to ``pooled``.

    Args:
        scores: ``<f, c> - |c|^2 / 2`` on the grid.
        row_index, row_weight, col_index, col_weight: see :class:`nave.clustering.steps.InterpolationWeights`.
    """
    h, w, K = scores.shape
    H, W = labels.shape
    row = np.empty((w + 1, K), np.float32)
    winner = np.empty(w + 1, np.int64)
    mass = np.zeros((K, w + 1), np.float32)
    stop = np.zeros(w, np.int64)
    right = np.zeros(w, np.float32)
    for x in range(W):
        stop[col_index[x]] = x + 1
        right[col_index[x]] += col_weight[x]
    for y in range(H):
        i, v = row_index[y], row_weight[y]
        i1 = min(i + 1, h - 1)
        for j in range(w):
            best = np.float32(-np.inf)
            win = 0
            for k in range(K):
                s = scores[i, j, k] + v * (scores[i1, j, k] - scores[i, j, k])
                row[j, k] = s
                if s > best:
                    best, win = s, k
            winner[j] = win
        row[w] = row[w - 1]
        winner[w] = winner[w - 1]
        mass[:] = 0
        x = 0
        for j in range(w):
            if stop[j] <= x:
                continue
            if winner[j] == winner[j + 1]:
                k = winner[j]
                labels[y, x : stop[j]] = k
                mass[k, j] += stop[j] - x - right[j]
                mass[k, j + 1] += right[j]
            else:
                a, b = winner[j], winner[j + 1]
                lead, lag = row[j, a] - row[j, b], row[j + 1, b] - row[j + 1, a]
                crossing = lead / (lead + lag)
                level = row[j, a] + crossing * (row[j + 1, a] - row[j, a])
                rivals = 0
                for c in range(K):
                    s = row[j, c] + crossing * (row[j + 1, c] - row[j, c])
                    rivals += s >= level and c != a and c != b  # noqa: PLR1714 - a tuple takes 10 % longer
                if rivals == 0:
                    before = np.float32(0)
                    turn = x
                    while turn < stop[j]:
                        ahead = lead - col_weight[turn] * (lead + lag)
                        if ahead < 0 or (ahead == 0 and b < a):
                            break
                        before += col_weight[turn]
                        turn += 1
                    labels[y, x:turn] = a
                    labels[y, turn : stop[j]] = b
                    mass[a, j] += turn - x - before
                    mass[a, j + 1] += before
                    mass[b, j] += stop[j] - turn - (right[j] - before)
                    mass[b, j + 1] += right[j] - before
                    x = stop[j]
                    continue
                for u in range(x, stop[j]):
                    t = col_weight[u]
                    best = np.float32(-np.inf)
                    k = 0
                    for c in range(K):
                        s = row[j, c] + t * (row[j + 1, c] - row[j, c])
                        if s > best:
                            best, k = s, c
                    labels[y, u] = k
                    mass[k, j] += 1 - t
                    mass[k, j + 1] += t
            x = stop[j]
        for k in range(K):
            mass[k, w - 1] += mass[k, w]
            for j in range(w):
                pooled[k, i, j] += (1 - v) * mass[k, j]
                pooled[k, i1, j] += v * mass[k, j]


@numba.njit(cache=True, nogil=True, boundscheck=False)
@no_type_check
def half_norms(centroids: Float32[np.ndarray, "K D"], rounding: float) -> Float32[np.ndarray, " K"]:
    """Computes ``|c|^2 / 2``; infinite where a centroid repeats an earlier one up to ``rounding`` times ``|c|^2``.

    Most pairs differ in length already, and then their product is not needed.
    """
    K, D = centroids.shape
    norms = np.zeros(K, np.float64)
    for k in range(K):
        for d in range(D):
            norms[k] += np.float64(centroids[k, d]) * centroids[k, d]
    halves = (norms / 2).astype(np.float32)
    for k in range(1, K):
        for other in range(k):
            if (np.sqrt(norms[k]) - np.sqrt(norms[other])) ** 2 > 2 * rounding * norms[k]:
                continue
            product = 0.0
            for d in range(D):
                product += np.float64(centroids[k, d]) * centroids[other, d]
            if norms[k] * (1 - rounding) + norms[other] <= 2 * product:
                halves[k] = np.inf
    return halves


@numba.njit(cache=True, nogil=True, boundscheck=False, fastmath={"reassoc", "contract"})
@no_type_check
def grid_scores(
    points: Float32[np.ndarray, "n D"],
    centroids: Float32[np.ndarray, "K D"],
    half_norms: Float32[np.ndarray, " K"],
    scores: Float32[np.ndarray, "n K"],
) -> None:
    """Writes ``<f, c> - |c|^2 / 2`` of every grid point and centroid."""
    for i in range(len(points)):
        for k in range(len(centroids)):
            product = np.float32(0)
            for d in range(points.shape[1]):
                product += points[i, d] * centroids[k, d]
            scores[i, k] = product - half_norms[k]


@numba.njit(cache=True, nogil=True, boundscheck=False)
@no_type_check
def weighted_sums(
    weights: Float32[np.ndarray, "K n"], points: Float32[np.ndarray, "n D"], sums: Float32[np.ndarray, "K D"]
) -> None:
    """Writes ``weights @ points``; most weights are zero, as most grid points belong to one cluster alone."""
    sums[:] = 0
    for k in range(len(weights)):
        for i in range(len(points)):
            weight = weights[k, i]
            if weight != 0:
                for d in range(points.shape[1]):
                    sums[k, d] += weight * points[i, d]


@numba.njit(cache=True, nogil=True, boundscheck=False)
@no_type_check
def converge(
    points: Float32[np.ndarray, "n D"],
    h: int,
    w: int,
    row_index: Int64[np.ndarray, " H"],
    row_weight: Float32[np.ndarray, " H"],
    col_index: Int64[np.ndarray, " W"],
    col_weight: Float32[np.ndarray, " W"],
    centroids: Float32[np.ndarray, "K D"],
    labels: UInt8[np.ndarray, "H W"],
    max_iter: int,
    threshold: float,
    rounding: float,
) -> tuple[int, bool]:
    """Runs Lloyd's iterations of one image, updating ``centroids`` and ``labels`` in place.

    Converged means that no label changes or that the centroids' squared movement is at most ``threshold``. Stops before
    an iteration in which a cluster would be empty.

    Returns:
        The number of iterations, and whether they have converged.
    """
    K, D = centroids.shape
    scores = np.empty((h * w, K), np.float32)
    pooled = np.empty((K, h, w), np.float32)
    sums = np.empty((K, D), np.float32)
    counts = np.empty(K, np.float32)
    new = np.empty_like(labels)
    for iteration in range(max_iter):
        grid_scores(points, centroids, half_norms(centroids, rounding), scores)
        pooled[:] = 0
        step(scores.reshape(h, w, K), row_index, row_weight, col_index, col_weight, new, pooled)
        for k in range(K):
            counts[k] = pooled[k].sum()
        if counts.min() <= 0:
            return iteration, False
        weighted_sums(pooled.reshape(K, h * w), points, sums)
        moved = 0.0
        for k in range(K):
            for d in range(D):
                mean = sums[k, d] / counts[k]
                moved += np.float64(mean - centroids[k, d]) ** 2
                centroids[k, d] = mean
        same = True
        for y in range(len(labels)):
            for x in range(labels.shape[1]):
                same &= labels[y, x] == new[y, x]
        labels[:] = new
        if same or moved <= threshold:
            return iteration + 1, True
    return max_iter, False
