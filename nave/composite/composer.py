"""Options of the composite: upsampling, normalisation and weighting of the layers."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from jaxtyping import Integer
from torch import Tensor
from torch.nn import functional

from nave.composite.composite import ROUNDING, Block, Composite
from nave.composite.upsampling import Upsampling, moments, operator
from nave.encoder.hooks import Activations

Resolution = Literal["input", "grid"] | Sequence[int]
Normalisation = Literal["none", "standardise", "l2"]
LayerWeighting = Literal["equal", "channels"]
CANCELLATION = 1e-7  # share of an image's largest squared norm that float32 cannot tell from zero


@dataclass(frozen=True)
class Composer:
    """Upsamples, normalises, weights and concatenates activations (NAVE, arXiv 2411.19700).

    A channel that is constant over the image, up to rounding, is zero when standardised.

    Args:
        resolution: ``input``, ``grid`` (that of the first layer) or ``[h, w]`` in points.
        upsampling: ``bilinear``, ``bicubic`` or ``nearest``.
        normalisation: of each layer after upsampling: ``standardise`` every channel over the image, ``l2`` over
            the channels at every point, or ``none``.
        layer_weighting: ``equal``, or ``channels`` for the authors' ``(1 + C_first) / (1 + C_l)``.

    Raises:
        ValueError: for any other value of an option.
    """

    resolution: Resolution
    upsampling: Upsampling
    normalisation: Normalisation
    layer_weighting: LayerWeighting

    def __post_init__(self) -> None:
        _check("composite.upsampling", self.upsampling, ("bilinear", "bicubic", "nearest"))
        _check("composite.normalisation", self.normalisation, ("standardise", "l2", "none"))
        _check("composite.layer_weighting", self.layer_weighting, ("equal", "channels"))
        sizes = () if isinstance(self.resolution, int | float | str) else self.resolution
        if self.resolution not in ("input", "grid") and not (len(sizes) == 2 and min(sizes) > 0):
            raise ValueError(f"composite.resolution={self.resolution!r}: choose input, grid or [h,w] in pixels")

    def __call__(self, activations: Activations) -> Composite:
        """Composes the layers of ``activations`` in their order.

        At resolution ``input`` the points are the pixels of the images, without the zero padding of the network's
        input; other resolutions cover the padded input.
        """
        grids = [grid.float().contiguous() for grid in activations.grids.values()]
        blocks = [self._block(grid, grids[0], activations) for grid in grids]
        return Composite(tuple(_merge(blocks)))

    def labels_at_input(self, labels: Integer[Tensor, "B h w"], activations: Activations) -> Integer[Tensor, "B H W"]:
        """Upsamples labels to the pixels of the images (nearest neighbour) and crops the padding."""
        if self.resolution == "input":
            return labels
        height, width = activations.image_size
        full = functional.interpolate(labels[:, None].float(), size=activations.padded_size, mode="nearest")
        return full[:, 0, :height, :width].to(labels.dtype)

    def _block(self, grid: Tensor, first: Tensor, activations: Activations) -> Block:
        height, width = self._size(first, activations.padded_size)
        points = activations.image_size if self.resolution == "input" else (height, width)
        rows = operator(grid.shape[2], height, self.upsampling, points[0], grid.device)
        cols = operator(grid.shape[3], width, self.upsampling, points[1], grid.device)
        weight = 1.0
        if self.layer_weighting == "channels":
            weight = (1 + first.shape[1]) / (1 + grid.shape[1])
        return _normalise(Block(grid, rows, cols), self.normalisation, weight)

    def _size(self, first: Tensor, padded: tuple[int, int]) -> tuple[int, int]:
        if isinstance(self.resolution, str):
            return padded if self.resolution == "input" else (first.shape[2], first.shape[3])
        return self.resolution[0], self.resolution[1]


def _normalise(block: Block, normalisation: Normalisation, weight: float) -> Block:
    if normalisation == "standardise":
        mean, deviation = moments(block.features, block.rows, block.cols)
        varies = deviation > ROUNDING * mean.abs().clamp_min(ROUNDING)
        return replace(block, features=(block.features - mean) * (weight / deviation).where(varies, 0))
    if normalisation == "l2":
        squared = block.squared_norms()
        # below the floor a sum of products of neighbours is rounding alone, which a division would blow up
        floor = (CANCELLATION * squared.amax((1, 2), keepdim=True)).clamp_min(1e-24)
        return replace(block, scale=weight / squared.maximum(floor).sqrt())
    return replace(block, features=block.features * weight)


def _merge(blocks: Iterable[Block]) -> list[Block]:
    """Concatenates neighbouring blocks that share a grid and have no scale."""
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


def _check(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ValueError(f"{name}={value!r}: choose one of {', '.join(choices)}")
