"""The composite activation: several layers upsampled and concatenated, as a linear operator on their grids."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache, reduce

import torch
from jaxtyping import Float, Float64, Int
from torch import Tensor

from nave.composite.upsampling import second_moments, squared_norms

ROUNDING = 1e-5  # relative difference up to which float32 activations count as equal


@dataclass(frozen=True)
class Block:
    """Layers that share one grid and one upsampling: ``x(p) = scale(p) (rows F cols^T)(p)``."""

    features: Float[Tensor, "B C h w"]
    rows: Float[Tensor, "H h"]
    cols: Float[Tensor, "W w"]
    scale: Float[Tensor, "B H W"] | None = None

    def upsample(self, maps: Float[Tensor, "B K h w"]) -> Float[Tensor, "B K H W"]:
        """Upsamples maps on the grid to the composite's resolution."""
        upsampled = (self.rows @ maps) @ self.cols.T
        return upsampled if self.scale is None else upsampled * self.scale[:, None]

    def adjoint(self, maps: Float[Tensor, "B K H W"]) -> Float[Tensor, "B K h w"]:
        """Applies the transpose of :meth:`upsample`."""
        scaled = maps if self.scale is None else maps * self.scale[:, None]
        return self.rows.T @ (scaled @ self.cols)

    def squared_norms(self) -> Float[Tensor, "B H W"]:
        """Returns ``|x(p)|^2`` of every point."""
        norms = squared_norms(self.features, self.rows, self.cols)
        return norms if self.scale is None else norms * self.scale**2

    def total_squared_norm(self) -> Float64[Tensor, " B"]:
        """Returns ``sum_p |x(p)|^2``."""
        if self.scale is not None:
            return self.squared_norms().sum((1, 2), dtype=torch.float64)
        return second_moments(self.features, self.rows, self.cols).sum(1, dtype=torch.float64)

    def images(self, index: Int[Tensor, " b"] | slice) -> "Block":
        """Selects images of the batch."""
        scale = None if self.scale is None else self.scale[index]
        return replace(self, features=self.features[index], scale=scale)

    def points(self, ys: Int[Tensor, " h"], xs: Int[Tensor, " w"]) -> "Block":
        """Selects the points ``ys x xs``."""
        scale = None if self.scale is None else self.scale[:, ys][:, :, xs]
        return replace(self, rows=_rows(self.rows, ys), cols=_rows(self.cols, xs), scale=scale)


@lru_cache(maxsize=256)
def _rows(operator: Float[Tensor, "N n"], index: Int[Tensor, " m"]) -> Float[Tensor, "m n"]:
    """Part of an operator, made once for all images of a size; tensors are told apart by identity."""
    return operator[index]


@dataclass(frozen=True)
class Composite:
    """The points of ``B`` images, ``(B, N, D)`` with ``N = H W``, as an operator on small grids.

    Upsampling is linear, so inner products and sums of points are exact without the upsampled tensor: vectors are
    multiplied on the grid and upsampled, masks go back to the grid through the transpose.
    """

    blocks: tuple[Block, ...]

    @property
    def batch(self) -> int:
        """Number of images ``B``."""
        return self.blocks[0].features.shape[0]

    @property
    def device(self) -> torch.device:
        """Device of the activations."""
        return self.blocks[0].features.device

    @property
    def size(self) -> tuple[int, int]:
        """``(H, W)``, the resolution at which points are clustered."""
        return self.blocks[0].rows.shape[0], self.blocks[0].cols.shape[0]

    @property
    def channels(self) -> list[int]:
        """Number of channels of every block; their sum is ``D``."""
        return [block.features.shape[1] for block in self.blocks]

    def materialise(self) -> Float[Tensor, "B N D"]:
        """Computes the upsampled tensor, ``H W D`` numbers per image; for reference engines and tests."""
        points = [block.upsample(block.features).flatten(2).transpose(1, 2) for block in self.blocks]
        return torch.cat(points, dim=2).contiguous()

    def project(self, vectors: Float[Tensor, "B K D"]) -> Float[Tensor, "B K H W"]:
        """Computes ``<x(p), v_k>``: inner products on the grid, then ``K`` maps are upsampled."""
        pairs = zip(self.blocks, torch.split(vectors, self.channels, dim=2), strict=True)
        return _sum(block.upsample(torch.einsum("bchw,bkc->bkhw", block.features, v)) for block, v in pairs)

    def pool(self, weights: Float[Tensor, "B K H W"]) -> Float[Tensor, "B K D"]:
        """Computes ``sum_p w_k(p) x(p)`` through the transpose of the upsampling."""
        sums = [torch.einsum("bkhw,bchw->bkc", b.adjoint(weights), b.features) for b in self.blocks]
        return torch.cat(sums, dim=2)

    def squared_norms(self) -> Float[Tensor, "B H W"]:
        """Returns ``|x(p)|^2`` of every point, from inner products on the grid."""
        return _sum(block.squared_norms() for block in self.blocks)

    def total_squared_norm(self) -> Float64[Tensor, " B"]:
        """Returns ``sum_p |x(p)|^2`` of every image."""
        return _sum(block.total_squared_norm() for block in self.blocks)

    def images(self, index: Int[Tensor, " b"] | slice) -> "Composite":
        """Selects images of the batch; a slice copies nothing."""
        return Composite(tuple(block.images(index) for block in self.blocks))

    def split(self) -> "list[Composite]":
        """Returns one composite per image, without copies."""
        return [self.images(slice(image, image + 1)) for image in range(self.batch)]

    def points(self, ys: Int[Tensor, " h"], xs: Int[Tensor, " w"]) -> "Composite":
        """Selects the points ``ys x xs``."""
        return Composite(tuple(block.points(ys, xs) for block in self.blocks))


def _sum(maps: Iterable[Tensor]) -> Tensor:
    return reduce(torch.add, maps)
