"""One Lloyd step on upsampled scores, compiled: upsample, argmax and adjoint of the masks in one pass.

Along a row of pixels, between two neighbouring grid columns, every bilinear score is linear. Where one
cluster wins at both ends it wins all along, so only segments with two winners are looked at pixel by pixel
(METHOD section 1).
"""

from typing import NamedTuple, no_type_check

import numba
import numpy as np
from jaxtyping import Float32, Int64, UInt8


class Taps(NamedTuple):
    """A bilinear operator in two-tap form: a point is ``(1 - weight) g[first] + weight g[first + 1]``."""

    first: Int64[np.ndarray, " N"]
    weight: Float32[np.ndarray, " N"]


def taps(operator: Float32[np.ndarray, "N n"]) -> Taps | None:
    """The two-tap form of a dense operator; None if a point mixes more or if the points are not in order."""
    support = operator != 0
    first = support.argmax(1)
    last = operator.shape[1] - 1 - support[:, ::-1].argmax(1)
    if (last - first > 1).any() or (np.diff(first) < 0).any():
        return None
    points = np.arange(len(operator))
    weight = np.where(last > first, operator[points, last], 0)
    return Taps(first.astype(np.int64), weight.astype(np.float32))


@numba.njit(cache=True, nogil=True, boundscheck=False)
@no_type_check  # numba can neither compile nor cache the wrapper that checks shapes in tests
def step(  # noqa: PLR0912 - one pass without calls is what makes it fast
    scores: Float32[np.ndarray, "h w K"],
    row_index: Int64[np.ndarray, " H"],
    row_weight: Float32[np.ndarray, " H"],
    col_index: Int64[np.ndarray, " W"],
    col_weight: Float32[np.ndarray, " W"],
    labels: UInt8[np.ndarray, "H W"],
    pooled: Float32[np.ndarray, "K h w"],
) -> None:
    """Writes the winning cluster of every point into ``labels`` and adds ``U^T masks`` to ``pooled``.

    The lowest id wins a tie.
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
