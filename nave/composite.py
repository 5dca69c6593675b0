"""The composite activation: several layers upsampled, normalised and weighted, kept as a linear operator."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import Literal

import torch
from jaxtyping import Float, Float64, Int, Integer
from torch import Tensor
from torch.nn import functional

from nave.upsampling import Upsampling, matrix, moments, second_moments, squared_norms

Resolution = Literal["input", "grid"] | Sequence[int]
Normalisation = Literal["none", "standardise", "l2"]
LayerWeighting = Literal["equal", "channels"]
ROUNDING = 1e-5  # relative: what float32 activations differ by when they are equal


@dataclass(frozen=True)
class Block:
    """Layers that share one upsampling: ``x(p) = scale(p) (rows F cols^T)(p)``."""

    features: Float[Tensor, "B C h w"]
    rows: Float[Tensor, "H h"]
    cols: Float[Tensor, "W w"]
    scale: Float[Tensor, "B H W"] | None = None

    def upsample(self, maps: Float[Tensor, "B K h w"]) -> Float[Tensor, "B K H W"]:
        """Maps on the grid at the composite's resolution."""
        upsampled = (self.rows @ maps) @ self.cols.T
        return upsampled if self.scale is None else upsampled * self.scale[:, None]

    def adjoint(self, maps: Float[Tensor, "B K H W"]) -> Float[Tensor, "B K h w"]:
        """The transpose of :meth:`upsample`."""
        scaled = maps if self.scale is None else maps * self.scale[:, None]
        return self.rows.T @ (scaled @ self.cols)

    def squared_norms(self) -> Float[Tensor, "B H W"]:
        """``|x(p)|^2`` of every point."""
        norms = squared_norms(self.features, self.rows, self.cols)
        return norms if self.scale is None else norms * self.scale**2

    def total_squared_norm(self) -> Float64[Tensor, " B"]:
        """``sum_p |x(p)|^2``."""
        if self.scale is not None:
            return self.squared_norms().sum((1, 2), dtype=torch.float64)
        return second_moments(self.features, self.rows, self.cols).sum(1, dtype=torch.float64)

    def images(self, index: Int[Tensor, " b"] | slice) -> "Block":
        """The same block of some images of the batch."""
        scale = None if self.scale is None else self.scale[index]
        return replace(self, features=self.features[index], scale=scale)

    def points(self, ys: Int[Tensor, " h"], xs: Int[Tensor, " w"]) -> "Block":
        """The same block at the points ``ys x xs`` alone."""
        scale = None if self.scale is None else self.scale[:, ys][:, :, xs]
        return replace(self, rows=self.rows[ys], cols=self.cols[xs], scale=scale)


@dataclass(frozen=True)
class Composite:
    """The points ``X`` of ``B`` images, ``(B, N, D)`` with ``N = H W``, as an operator on small grids.

    The factored form is exact because upsampling is linear (METHOD section 1).
    """

    blocks: tuple[Block, ...]

    @property
    def batch(self) -> int:
        """Number of images ``B``."""
        return self.blocks[0].features.shape[0]

    @property
    def device(self) -> torch.device:
        """Where the activations lie."""
        return self.blocks[0].features.device

    @property
    def size(self) -> tuple[int, int]:
        """``(H, W)``: the resolution at which points are clustered."""
        return self.blocks[0].rows.shape[0], self.blocks[0].cols.shape[0]

    @property
    def channels(self) -> list[int]:
        """Channels of every block; their sum is ``D``."""
        return [block.features.shape[1] for block in self.blocks]

    def materialise(self) -> Float[Tensor, "B N D"]:
        """The tensor itself, ``H W D`` numbers an image: for reference engines and tests."""
        points = [block.upsample(block.features).flatten(2).transpose(1, 2) for block in self.blocks]
        return torch.cat(points, dim=2).contiguous()

    def project(self, vectors: Float[Tensor, "B K D"]) -> Float[Tensor, "B K H W"]:
        """Inner products ``<x(p), v_k>``: the grid is projected, then ``K`` maps are upsampled."""
        parts = zip(self.blocks, torch.split(vectors, self.channels, dim=2), strict=True)
        return _sum(block.upsample(torch.einsum("bchw,bkc->bkhw", block.features, v)) for block, v in parts)

    def pool(self, weights: Float[Tensor, "B K H W"]) -> Float[Tensor, "B K D"]:
        """Weighted sums ``sum_p w_k(p) x(p)`` through the adjoint of the upsampling."""
        sums = [torch.einsum("bkhw,bchw->bkc", b.adjoint(weights), b.features) for b in self.blocks]
        return torch.cat(sums, dim=2)

    def squared_norms(self) -> Float[Tensor, "B H W"]:
        """``|x(p)|^2`` of every point, from inner products on the grid."""
        return _sum(block.squared_norms() for block in self.blocks)

    def total_squared_norm(self) -> Float64[Tensor, " B"]:
        """``sum_p |x(p)|^2`` of every image."""
        return _sum(block.total_squared_norm() for block in self.blocks)

    def images(self, index: Int[Tensor, " b"] | slice) -> "Composite":
        """The composites of some images of the batch; a slice copies nothing."""
        return Composite(tuple(block.images(index) for block in self.blocks))

    def split(self) -> "list[Composite]":
        """The composites of the images one by one, without copies."""
        return [self.images(slice(image, image + 1)) for image in range(self.batch)]

    def points(self, ys: Int[Tensor, " h"], xs: Int[Tensor, " w"]) -> "Composite":
        """The composites at the points ``ys x xs`` alone."""
        return Composite(tuple(block.points(ys, xs) for block in self.blocks))


@dataclass(frozen=True)
class Composer:
    """How activations become a composite (METHOD section 2).

    A channel that does not vary over the image, but for rounding, is zero when standardised.

    Args:
        resolution: ``input``, ``grid`` (that of the first layer) or ``[h, w]``.
        upsampling: ``bilinear``, ``bicubic`` or ``nearest``.
        normalisation: per layer, after upsampling: ``standardise`` every channel over the image, ``l2`` over
            the channels at every point, or ``none``.
        layer_weighting: ``equal``, or ``channels`` for the first author's ``(1 + C_first) / (1 + C_l)``.

    Raises:
        ValueError: for any other value.
    """

    resolution: Resolution = "input"
    upsampling: Upsampling = "bilinear"
    normalisation: Normalisation = "standardise"
    layer_weighting: LayerWeighting = "equal"

    def __post_init__(self) -> None:
        _check("upsampling", self.upsampling, ("bilinear", "bicubic", "nearest"))
        _check("normalisation", self.normalisation, ("standardise", "l2", "none"))
        _check("layer_weighting", self.layer_weighting, ("equal", "channels"))
        sizes = self.resolution if not isinstance(self.resolution, str) else ()
        if self.resolution not in ("input", "grid") and not (len(sizes) == 2 and min(sizes) > 0):
            raise ValueError(f"resolution={self.resolution!r}: choose input, grid or [h,w] in pixels")

    def compose(
        self,
        activations: Mapping[str, Float[Tensor, "B _ _ _"]],
        padded: tuple[int, int],
        image: tuple[int, int],
    ) -> Composite:
        """The composite of the layers of ``activations``, in their order.

        At resolution ``input`` only the pixels of ``image`` (height, width) take part, not the zero padding
        up to the network's input ``padded``; other resolutions cover the padded input.
        """
        grids = [grid.float().contiguous() for grid in activations.values()]
        blocks = [self._block(grid, grids[0], padded, image) for grid in grids]
        return Composite(tuple(_merge(blocks)))

    def labels_at_input(
        self, labels: Integer[Tensor, "B h w"], padded: tuple[int, int], image: tuple[int, int]
    ) -> Integer[Tensor, "B H W"]:
        """The map at the input's resolution: nearest point, padding cut off."""
        if self.resolution == "input":
            return labels
        full = functional.interpolate(labels[:, None].float(), size=padded, mode="nearest")
        return full[:, 0, : image[0], : image[1]].to(labels.dtype)

    def _block(self, grid: Tensor, first: Tensor, padded: tuple[int, int], image: tuple[int, int]) -> Block:
        height, width = self._target(first, padded)
        rows = matrix(grid.shape[2], height, self.upsampling).to(grid.device)
        cols = matrix(grid.shape[3], width, self.upsampling).to(grid.device)
        if self.resolution == "input":
            rows, cols = rows[: image[0]], cols[: image[1]]
        weight = 1.0
        if self.layer_weighting == "channels":
            weight = (1 + first.shape[1]) / (1 + grid.shape[1])
        return _normalised(Block(grid, rows, cols), self.normalisation, weight)

    def _target(self, first: Tensor, padded: tuple[int, int]) -> tuple[int, int]:
        if isinstance(self.resolution, str):
            return padded if self.resolution == "input" else (first.shape[2], first.shape[3])
        return self.resolution[0], self.resolution[1]


def _normalised(block: Block, normalisation: Normalisation, weight: float) -> Block:
    if normalisation == "standardise":
        mean, deviation = moments(block.features, block.rows, block.cols)
        varies = deviation > ROUNDING * mean.abs().clamp_min(ROUNDING)
        return replace(block, features=(block.features - mean) * (weight / deviation).where(varies, 0))
    if normalisation == "l2":
        return replace(block, scale=weight / block.squared_norms().sqrt().clamp_min(1e-12))
    return replace(block, features=block.features * weight)


def _merge(blocks: Iterable[Block]) -> list[Block]:
    """Neighbouring blocks on one grid become one of more channels, unless scales of their own part them."""
    merged: list[Block] = []
    for block in blocks:
        last = merged[-1] if merged else None
        if last is not None and last.scale is block.scale is None and _same_grid(last, block):
            merged[-1] = replace(last, features=torch.cat([last.features, block.features], dim=1))
        else:
            merged.append(block)
    return merged


def _same_grid(a: Block, b: Block) -> bool:
    return a.features.shape[2:] == b.features.shape[2:] and a.rows.shape == b.rows.shape


def _sum(maps: Iterable[Tensor]) -> Tensor:
    return reduce(torch.add, maps)


def _check(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ValueError(f"{name}={value!r}: choose one of {', '.join(choices)}")
