"""What a localizer is given and what it returns."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from nave.localization.components import Box, Component, components


@dataclass(frozen=True)
class Localization:
    """Components with their scores, best first, and the chosen box; all in pixels of the map."""

    components: tuple[tuple[Component, float], ...]
    box: Box


@dataclass(frozen=True, eq=False)
class Evidence:
    """The tokens of one image, for those who localise without clusters.

    ``tokens`` are the last layer's that lie on the image (those on the padding alone are cut off), each of
    ``patch`` (height, width) pixels; ``size`` is the (height, width) of the image that the encoder saw.
    """

    tokens: Float[Tensor, "C h w"]
    patch: tuple[float, float]
    size: tuple[int, int]

    def at_pixels(self, mask: Bool[np.ndarray, "h w"]) -> UInt8[np.ndarray, "H W"]:
        """A mask of tokens as a map of pixels: 1 where it is true. The zero padding is cut off (LOST)."""
        rows, columns = (
            np.floor((np.arange(side) + 0.5) / pixels).astype(np.int64)
            for side, pixels in zip(self.size, self.patch, strict=True)
        )
        labels: UInt8[np.ndarray, "H W"] = mask[rows][:, columns].astype(np.uint8)
        return labels

    def first_pixel(self, row: int, column: int) -> tuple[int, int]:
        """The first pixel (y, x) that belongs to a token."""
        return max(math.ceil(row * self.patch[0] - 0.5), 0), max(math.ceil(column * self.patch[1] - 0.5), 0)


def evidence(tokens: Float[Tensor, "C h w"], padded: tuple[int, int], size: tuple[int, int]) -> Evidence:
    """Of an image of ``size``, padded with zeros at right and bottom to ``padded`` before the encoder."""
    patch = (padded[0] / tokens.shape[1], padded[1] / tokens.shape[2])
    height, width = (int((side - 0.5) / pixels) + 1 for side, pixels in zip(size, patch, strict=True))
    return Evidence(tokens[:, :height, :width].float(), patch, size)


@runtime_checkable
class Localizer(Protocol):
    """From the map of the clusters to boxes: what ``localization=nave`` is."""

    def __call__(self, labels: UInt8[np.ndarray, "H W"]) -> Localization:
        """Boxes of one image."""
        ...


@runtime_checkable
class Peer(Protocol):
    """A published method of localisation beside NAVE: it makes its own map, and no cluster is asked for."""

    parts: int  # different labels of its maps

    def layers(self, layers: Sequence[str]) -> list[str]:
        """The one module to read, given those that the run names."""
        ...

    def partition(self, evidence: Evidence) -> tuple[UInt8[np.ndarray, "H W"], Localization]:
        """The map (1: found, 0: the rest) and the boxes of one image."""
        ...


def found_at(labels: UInt8[np.ndarray, "H W"], pixel: tuple[int, int]) -> Localization:
    """The 4-connected component around ``pixel`` (y, x) is the only prediction, as in LOST and TokenCut."""
    regions = components(labels, min_area=0, border=0)
    component = regions.items[regions.ids[pixel] - 1]
    return Localization(((component, 1.0),), component.box)


def whole(size: tuple[int, int]) -> Localization:
    """One box around everything."""
    return found_at(np.zeros(size, np.uint8), (0, 0))
