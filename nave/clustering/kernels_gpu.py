"""One Lloyd step on the GPU, fused in Triton: upsampling, argmax and pooling of the masks, cell by cell.

A cell is the area between four neighbouring grid points. Its pixels depend on the scores of these four points alone and
contribute to the sums of these four alone. Each cell writes its own sums, so the order of additions is fixed.
"""

from dataclasses import dataclass

import numpy as np
import torch
import triton
import triton.language as tl
from jaxtyping import Float, Int, UInt8
from torch import Tensor


@dataclass(frozen=True)
class Axis:
    """Interpolation weights of one axis, by cell: cell ``i`` holds the points ``start[i]`` to ``start[i + 1]``."""

    start: Int[Tensor, " cells_1"]
    weight: Float[Tensor, " N"]
    tile: int  # smallest power of two that no cell exceeds

    @classmethod
    def from_weights(
        cls, first: Int[np.ndarray, " N"], weight: Float[np.ndarray, " N"], cells: int, device: torch.device
    ) -> "Axis":
        """Groups the points of :class:`nave.clustering.steps.InterpolationWeights` by cell."""
        start = np.searchsorted(first, np.arange(cells + 1)).astype(np.int32)
        tile = 1 << int(np.diff(start).max() - 1).bit_length()
        return cls(torch.from_numpy(start).to(device), torch.from_numpy(weight).to(device), tile)


def step(
    scores: Float[Tensor, "B K h w"], rows: Axis, cols: Axis
) -> tuple[UInt8[Tensor, "B H W"], Float[Tensor, "B K h w"]]:
    """Returns the cluster of highest score of every point (the lowest id at a tie), and ``U^T masks``."""
    B, K, h, w = scores.shape
    labels = scores.new_empty((B, len(rows.weight), len(cols.weight)), dtype=torch.uint8)
    corners = scores.new_empty((4, B, K, h, w))
    _cell[(B * h * w,)](
        scores.contiguous(), rows.start, cols.start, rows.weight, cols.weight, labels, corners,
        B, K, h, w, len(rows.weight), len(cols.weight), TY=rows.tile, TX=cols.tile,
    )  # fmt: skip
    pooled = corners[0]
    pooled[..., 1:] += corners[1][..., :-1]
    pooled[..., 1:, :] += corners[2][..., :-1, :]
    pooled[..., 1:, 1:] += corners[3][..., :-1, :-1]
    return labels, pooled


@triton.jit  # type: ignore[untyped-decorator]
def _cell(  # type: ignore[no-untyped-def]
    scores, row_start, col_start, row_weight, col_weight, labels, corners,
    B, K, h, w, H, W, TY: tl.constexpr, TX: tl.constexpr,
):  # fmt: skip
    cell = tl.program_id(0)
    b, i, j = cell // (h * w), cell // w % h, cell % w
    below, right = tl.minimum(i + 1, h - 1), tl.minimum(j + 1, w - 1)
    y = tl.load(row_start + i) + tl.arange(0, TY)
    x = tl.load(col_start + j) + tl.arange(0, TX)
    inside = (y < tl.load(row_start + i + 1))[:, None] & (x < tl.load(col_start + j + 1))[None, :]
    v = tl.load(row_weight + y, mask=y < H, other=0.0)[:, None]
    u = tl.load(col_weight + x, mask=x < W, other=0.0)[None, :]
    best = tl.full((TY, TX), float("-inf"), tl.float32)
    winner = tl.zeros((TY, TX), tl.int32)
    for k in range(K):
        grid = scores + (b * K + k) * h * w
        top_left, bottom_left = tl.load(grid + i * w + j), tl.load(grid + below * w + j)
        top_right, bottom_right = tl.load(grid + i * w + right), tl.load(grid + below * w + right)
        left = top_left + v * (bottom_left - top_left)
        score = left + u * (top_right + v * (bottom_right - top_right) - left)
        wins = score > best
        best = tl.where(wins, score, best)
        winner = tl.where(wins, k, winner)
    tl.store(labels + (b * H + y[:, None]) * W + x[None, :], winner.to(tl.uint8), mask=inside)
    plane = B * K * h * w
    for k in range(K):
        mass = tl.where(inside & (winner == k), 1.0, 0.0)
        out = corners + ((b * K + k) * h + i) * w + j
        tl.store(out, tl.sum(mass * (1 - v) * (1 - u)))
        tl.store(out + plane, tl.sum(mass * (1 - v) * u))
        tl.store(out + 2 * plane, tl.sum(mass * v * (1 - u)))
        tl.store(out + 3 * plane, tl.sum(mass * v * u))
