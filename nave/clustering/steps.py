"""One Lloyd step on the factored composite: assign every point, sum every cluster."""

from copy import copy
from importlib.util import find_spec
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from nave.clustering import segments
from nave.clustering.offsets import offsets
from nave.clustering.taps import Taps, taps
from nave.composite import Composite


class Step(NamedTuple):
    """Labels under some centroids, and the clusters' sizes and sums."""

    labels: UInt8[Tensor, "B H W"]
    counts: Float[Tensor, "B K"]
    sums: Float[Tensor, "B K D"]


@runtime_checkable
class Stepper(Protocol):
    """A way of computing :class:`Step` for one composite."""

    def __call__(self, centroids: Float[Tensor, "B K D"]) -> Step:
        """Assigns every point to its nearest centroid; the lowest id wins a tie."""
        ...


def stepper(composite: Composite) -> Stepper:
    """The fastest exact way for ``composite``: compiled where one bilinear grid allows it, else on tensors."""
    return CompiledStepper.of(composite) or FusedStepper.of(composite) or TensorStepper(composite)


class TensorStepper:
    """Any composite on any device: ``K`` score maps are upsampled, the masks go back through the adjoint."""

    def __init__(self, composite: Composite) -> None:
        self.composite = composite

    def __call__(self, centroids: Float[Tensor, "B K D"]) -> Step:
        """See :class:`Stepper`."""
        scores = self.composite.project(centroids) - offsets(centroids)[:, :, None, None]
        labels = first_maximum(scores)
        clusters = torch.arange(centroids.shape[1], device=labels.device, dtype=labels.dtype)
        masks = (labels[:, None] == clusters[:, None, None]).to(centroids.dtype)
        return Step(labels, masks.sum((2, 3)), self.composite.pool(masks))


class CompiledStepper:
    """One grid, bilinear or nearest, no scale, on the CPU: the kernel of :mod:`nave.clustering.segments`."""

    def __init__(self, composite: Composite, rows: Taps, cols: Taps) -> None:
        self.size = composite.size
        self.grid = composite.blocks[0].features.shape[2:]
        self.points = composite.blocks[0].features.flatten(2).transpose(1, 2).contiguous()
        self.rows, self.cols = rows, cols

    @classmethod
    def of(cls, composite: Composite) -> "CompiledStepper | None":
        """The compiled stepper, or None for a composite that the kernel does not cover."""
        block = composite.blocks[0]
        if len(composite.blocks) > 1 or block.scale is not None or block.features.device.type != "cpu":
            return None
        rows, cols = taps(block.rows.numpy()), taps(block.cols.numpy())
        return None if rows is None or cols is None else cls(composite, rows, cols)

    def image(self, index: int) -> "CompiledStepper":
        """The stepper of one image of the batch."""
        one = copy(self)
        one.points = self.points[index : index + 1]
        return one

    def __call__(self, centroids: Float[Tensor, "B K D"]) -> Step:
        """See :class:`Stepper`."""
        images = [self._image(*one) for one in zip(self.points, centroids, offsets(centroids), strict=True)]
        return Step(*(torch.stack(parts) for parts in zip(*images, strict=True)))

    def _image(self, F: Float[Tensor, "n D"], c: Float[Tensor, "K D"], offset: Float[Tensor, " K"]) -> Step:
        scores = torch.addmm(offset, F, c.T, beta=-1).numpy()
        labels = np.empty(self.size, np.uint8)
        pooled = np.zeros((len(c), *self.grid), np.float32)
        segments.step(scores.reshape(*self.grid, len(c)), *self.rows, *self.cols, labels, pooled)
        weights = torch.from_numpy(pooled).flatten(1)
        return Step(torch.from_numpy(labels), weights.sum(1), weights @ F)


class FusedStepper:
    """One grid, bilinear or nearest, no scale, on a GPU with Triton: the kernel of :mod:`nave.clustering.cells`."""

    def __init__(self, composite: Composite, rows: Taps, cols: Taps) -> None:
        from nave.clustering.cells import Axis

        self.features = composite.blocks[0].features
        h, w = self.features.shape[2:]
        self.rows = Axis.of(rows.first, rows.weight, h, self.features.device)
        self.cols = Axis.of(cols.first, cols.weight, w, self.features.device)

    @classmethod
    def of(cls, composite: Composite) -> "FusedStepper | None":
        """The fused stepper, or None for another device, without Triton, or for what the kernel does not cover."""
        block = composite.blocks[0]
        if len(composite.blocks) > 1 or block.scale is not None or block.features.device.type != "cuda":
            return None
        rows, cols = (taps(operator.cpu().numpy()) for operator in (block.rows, block.cols))
        if rows is None or cols is None or find_spec("triton") is None:
            return None
        return cls(composite, rows, cols)

    def __call__(self, centroids: Float[Tensor, "B K D"]) -> Step:
        """See :class:`Stepper`."""
        from nave.clustering.cells import step

        scores = torch.einsum("bchw,bkc->bkhw", self.features, centroids) - offsets(centroids)[:, :, None, None]
        labels, pooled = step(scores, self.rows, self.cols)
        return Step(labels, pooled.sum((2, 3)), torch.einsum("bkhw,bchw->bkc", pooled, self.features))


def first_maximum(scores: Float[Tensor, "B K H W"]) -> UInt8[Tensor, "B H W"]:
    """``argmax`` over ``K`` by a running maximum: reading along a strided dimension is much slower."""
    best = scores[:, 0].clone()
    labels = torch.zeros_like(best, dtype=torch.uint8)
    for k in range(1, scores.shape[1]):
        wins: Bool[Tensor, "B H W"] = scores[:, k] > best
        labels.masked_fill_(wins, k)
        torch.maximum(best, scores[:, k], out=best)
    return labels
