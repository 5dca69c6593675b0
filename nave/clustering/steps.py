"""One Lloyd step on the factored composite: assign every point and sum every cluster."""

from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Int64, UInt8
from torch import Tensor

from nave.clustering import kernels_cpu
from nave.clustering.interface import coincident
from nave.composite.composite import ROUNDING, Composite


class InterpolationWeights(NamedTuple):
    """A linear operator with two weights per point: ``(1 - weight) g[first] + weight g[first + 1]``.

    Positions ``first + weight`` never decrease, and ``weight`` is from 0 to 1.
    """

    first: Int64[np.ndarray, " N"]
    weight: Float32[np.ndarray, " N"]


def interpolation_weights(operator: Float32[np.ndarray, "N n"]) -> InterpolationWeights | None:
    """Converts a dense operator to two weights per point.

    Returns:
        None for an operator that has no such form: a point depends on more grid points, positions decrease, or weights
        are not from 0 to 1. Bicubic upsampling never has it, as it overshoots even between two grid points.
    """
    support = operator != 0
    first = support.argmax(1)
    last = operator.shape[1] - 1 - support[:, ::-1].argmax(1)
    points = np.arange(len(operator))
    weight = np.where(last > first, operator[points, last], 0)
    decreasing = (np.diff(first) < 0) | ((np.diff(first) == 0) & (np.diff(weight) < 0))
    if (last - first > 1).any() or decreasing.any() or weight.min() < 0 or weight.max() > 1:
        return None
    return InterpolationWeights(first.astype(np.int64), weight.astype(np.float32))


def half_squared_norms(centroids: Float[Tensor, "B K D"]) -> Float[Tensor, "B K"]:
    """Computes ``|c|^2 / 2``; infinite where a centroid repeats an earlier one, so that rounding never splits ties."""
    if centroids.device.type == "cpu":
        return torch.from_numpy(np.stack([kernels_cpu.half_norms(image.numpy(), ROUNDING**2) for image in centroids]))
    repeats = coincident(centroids).tril(-1).any(2)
    return ((centroids**2).sum(2) / 2).masked_fill(repeats, torch.inf)


class Step(NamedTuple):
    """Labels, and the sizes and sums of the clusters."""

    labels: UInt8[Tensor, "B H W"]
    counts: Float[Tensor, "B K"]
    sums: Float[Tensor, "B K D"]


@runtime_checkable
class Stepper(Protocol):
    """Computes :class:`Step` for one composite."""

    def __call__(self, centroids: Float[Tensor, "B K D"]) -> Step:
        """Assigns every point to its nearest centroid, the lowest id at a tie."""
        ...


def stepper(composite: Composite) -> Stepper:
    """Chooses the fastest stepper: a compiled one for one bilinear or nearest grid, tensors for any other composite."""
    return CompiledStepper.from_composite(composite) or TensorStepper(composite)


class TensorStepper:
    """Any composite on any device: upsamples ``K`` score maps and pools the masks."""

    def __init__(self, composite: Composite) -> None:
        self.composite = composite

    def __call__(self, centroids: Float[Tensor, "B K D"]) -> Step:
        """See :class:`Stepper`."""
        scores = self.composite.project(centroids) - half_squared_norms(centroids)[:, :, None, None]
        labels = first_maximum(scores)
        clusters = torch.arange(centroids.shape[1], device=labels.device, dtype=labels.dtype)
        masks = (labels[:, None] == clusters[:, None, None]).to(centroids.dtype)
        return Step(labels, masks.sum((2, 3)), self.composite.pool(masks))


class CompiledStepper:
    """One grid, bilinear or nearest, no scale, on the CPU: the kernel of :mod:`nave.clustering.kernels_cpu`."""

    def __init__(self, composite: Composite, rows: InterpolationWeights, cols: InterpolationWeights) -> None:
        self.size = composite.size
        self.grid = composite.blocks[0].features.shape[2:]
        self.points = composite.blocks[0].features.flatten(2).transpose(1, 2).contiguous()
        self.rows, self.cols = rows, cols

    @classmethod
    def from_composite(cls, composite: Composite) -> "CompiledStepper | None":
        """Returns None for a composite that the kernel does not support."""
        block = composite.blocks[0]
        if len(composite.blocks) > 1 or block.scale is not None or block.features.device.type != "cpu":
            return None
        rows, cols = interpolation_weights(block.rows.numpy()), interpolation_weights(block.cols.numpy())
        return None if rows is None or cols is None else cls(composite, rows, cols)

    def converge(
        self, centroids: Float[Tensor, "1 K D"], labels: UInt8[Tensor, "1 H W"], max_iter: int, threshold: float
    ) -> tuple[int, bool]:
        """Iterates one image in place until a cluster is empty; see :func:`nave.clustering.kernels_cpu.converge`."""
        arrays = (*self.rows, *self.cols, centroids[0].numpy(), labels[0].numpy())
        found = kernels_cpu.converge(self.points[0].numpy(), *self.grid, *arrays, max_iter, threshold, ROUNDING**2)
        return int(found[0]), bool(found[1])

    def __call__(self, centroids: Float[Tensor, "B K D"]) -> Step:
        """See :class:`Stepper`."""
        images = zip(self.points, centroids, half_squared_norms(centroids), strict=True)
        steps = [self._step_image(*image) for image in images]
        return Step(*(torch.stack(tensors) for tensors in zip(*steps, strict=True)))

    def _step_image(self, F: Float[Tensor, "n D"], c: Float[Tensor, "K D"], half_norms: Float[Tensor, " K"]) -> Step:
        scores = torch.addmm(half_norms, F, c.T, beta=-1).numpy()
        labels = np.empty(self.size, np.uint8)
        pooled = np.zeros((len(c), *self.grid), np.float32)
        kernels_cpu.step(scores.reshape(*self.grid, len(c)), *self.rows, *self.cols, labels, pooled)
        weights = torch.from_numpy(pooled).flatten(1)
        return Step(torch.from_numpy(labels), weights.sum(1), weights @ F)


def first_maximum(scores: Float[Tensor, "B K H W"]) -> UInt8[Tensor, "B H W"]:
    """Computes ``argmax`` over ``K`` by a running maximum, much faster than ``argmax`` along a strided dimension."""
    best = scores[:, 0].clone()
    labels = torch.zeros_like(best, dtype=torch.uint8)
    for k in range(1, scores.shape[1]):
        wins: Bool[Tensor, "B H W"] = scores[:, k] > best
        labels.masked_fill_(wins, k)
        torch.maximum(best, scores[:, k], out=best)
    return labels
