"""How activations become a composite: upsampled, normalised and weighted layer by layer (METHOD section 2)."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from jaxtyping import Float, Integer
from torch import Tensor
from torch.nn import functional

from nave.composite import ROUNDING, Block, Composite
from nave.upsampling import Upsampling, matrix, moments

Resolution = Literal["input", "grid"] | Sequence[int]
Normalisation = Literal["none", "standardise", "l2"]
LayerWeighting = Literal["equal", "channels"]


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


def _check(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ValueError(f"{name}={value!r}: choose one of {', '.join(choices)}")
