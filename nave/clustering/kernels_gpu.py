"""Lloyd's iterations on the GPU: one launch of :mod:`nave.clustering.lloyd_gpu` instead of some ten per iteration."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
import triton
from jaxtyping import Float, Float64, Int
from torch import Tensor

from nave.clustering import lloyd_gpu, seeding_gpu
from nave.clustering.batched import Assignment, State, Stop
from nave.clustering.gram import Points
from nave.clustering.steps import InterpolationWeights, interpolation_weights
from nave.composite.composite import ROUNDING

MOST_CLUSTERS = 32  # scores of one point that a thread can hold
WARPS, LANES = 8, 2  # of an image; of a cell


@dataclass(frozen=True)
class Axis:
    """Interpolation weights of one axis, by cell: cell ``i`` holds the points ``start[i]`` to ``start[i + 1]``.

    Cell ``i`` lies between the grid points ``i - 1`` and ``i``; the first and the last one lie outside the grid.
    """

    start: Int[Tensor, " cells_1"]
    cell: Int[Tensor, " N"]
    weight: Float[Tensor, " N"]  # of grid point ``i``
    longest: int  # number of points of the largest cell

    @classmethod
    def from_weights(cls, weights: InterpolationWeights, cells: int, device: torch.device) -> "Axis":
        """Groups points by cell; those before the first grid point belong to it alone."""
        outside = (weights.first == 0) & (weights.weight == 0)
        cell = np.where(outside, 0, weights.first + 1)
        weight = np.where(outside, 1, weights.weight).astype(np.float32)
        start = np.searchsorted(cell, np.arange(cells + 1)).astype(np.int32)
        longest = int(np.diff(start).max())
        first, second, third = (torch.from_numpy(array).to(device) for array in (start, cell.astype(np.int32), weight))
        return cls(first, second, third, longest)


@lru_cache(maxsize=256)
def axis(operator: Float[Tensor, "N n"]) -> Axis | None:
    """The axis of an upsampling operator, made once; None for one that has no two weights per point."""
    weights = interpolation_weights(operator.cpu().numpy())
    return None if weights is None else Axis.from_weights(weights, operator.shape[1] + 1, operator.device)


def axes(points: Points) -> tuple[Axis, Axis] | None:
    """The axes of the rows and the columns; None for points that the kernels do not support."""
    block = points.composite.blocks[0]
    if len(points.composite.blocks) > 1 or block.scale is not None or points.gram.matrices[0] is None:
        return None
    rows, cols = axis(block.rows), axis(block.cols)
    return None if rows is None or cols is None else (rows, cols)


def kmeans_plus_plus(points: Points, draws: Float64[Tensor, "B K T"]) -> Float[Tensor, "B K M"] | None:
    """See :func:`nave.clustering.batched_seeding.kmeans_plus_plus`; None for points that the kernels do not support."""
    pair, matrix, size = axes(points), points.gram.matrices[0], points.composite.size
    if pair is None or matrix is None:
        return None
    (B, K, T), M, N, (rows, cols) = draws.shape, matrix.shape[2], size[0] * size[1], pair
    coefficients, cumulative = matrix.new_empty((B, K, M)), draws.new_empty((B, N))
    norms, closest = matrix.new_empty((2, B, N))
    seeding_gpu.draw[(B,)](
        matrix, draws.contiguous(), rows.cell, cols.cell, rows.weight, cols.weight, norms, closest, cumulative,
        coefficients, T, K, M, *points.composite.blocks[0].features.shape[2:], *size,
        num_warps=WARPS, enable_fp_fusion=True,
    )  # fmt: skip
    return coefficients


class FusedIterations:
    """One grid, bilinear or nearest, no scale: iterates without the host until an image is done or pauses."""

    def __init__(self, points: Points, stop: Stop, rows: Axis, cols: Axis) -> None:
        self.points, self.stop, self.rows, self.cols = points, stop, rows, cols
        self.near = 4 * ROUNDING**2 * points.gram.longest()
        self.corners: Tensor | None = None  # sums of the cells in the last iteration

    @classmethod
    def from_points(cls, points: Points, stop: Stop, k: int) -> "FusedIterations | None":
        """Returns None for what the kernels do not support."""
        pair = axes(points) if k <= MOST_CLUSTERS else None
        return None if pair is None else cls(points, stop, *pair)

    def assign(self, state: State) -> Assignment:
        """See :class:`nave.clustering.batched.Iterations`."""
        means, counts = self._run(state, torch.full_like(state.status, lloyd_gpu.ASSIGN.value))
        return Assignment(state.labels, counts, means * counts[:, :, None])

    def advance(self, state: State, iterations: int) -> None:  # noqa: ARG002 - the host need not look in between
        """See :class:`nave.clustering.batched.Iterations`."""
        self._run(state, state.status)

    def _run(self, state: State, mode: Int[Tensor, " B"]) -> tuple[Tensor, Tensor]:
        """Returns coefficients of the means, and counts, of the last assignment."""
        (B, K, M), (h, w) = state.coefficients.shape, self.points.composite.blocks[0].features.shape[2:]
        if self.corners is None:
            self.corners = state.products.new_full((B, 4, K, (h + 1) * (w + 1)), -1)
        means, products = torch.empty_like(state.coefficients), torch.empty_like(state.products)
        counts, lanes = state.products.new_empty((B, K)), min(1 << (self.cols.longest - 1).bit_length(), LANES)
        vector = 4 if M % 4 == 0 else 1
        lloyd_gpu.iterate[(B,)](
            state.coefficients, state.products, state.half_norms, mode, state.status, state.iterations, state.changed,
            state.labels, means, products, counts, self.corners, self.points.gram.matrices[0], self.near,
            self.stop.moved, self.rows.start, self.cols.start, self.rows.weight, self.cols.weight, self.rows.longest,
            self.cols.longest, self.stop.iterations, K, M // vector, h, w, *self.points.composite.size,
            CLUSTERS=max(triton.next_power_of_2(K), 4), CELLS=32 * WARPS // lanes, LANES=lanes,
            VECTOR=vector, num_warps=WARPS, enable_fp_fusion=True,
        )  # fmt: skip
        return means, counts
