"""The protocol of localization methods, which NAVE and the baselines follow, and what they share."""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from PIL import Image
from torch import Tensor

from nave.clustering.number import NumberOfClusters
from nave.encoder.hooks import Activations
from nave.localization.components import Box, Component, describe
from nave.localization.foreground import Foreground
from nave.localization.regions import Regions
from nave.localization.switch import OFF

Map = UInt8[np.ndarray, "H W"]


@dataclass(frozen=True)
class Localization:
    """Components with their scores, best first, and the one chosen box; all in pixels of the map.

    ``detections`` are boxes with scores, best first, that a foreground head has found by its judgement ``foreground``;
    None without a head, and then components are what is detected.
    """

    components: tuple[tuple[Component, float], ...]
    box: Box
    detections: tuple[tuple[Box, float], ...] | None = None
    foreground: Foreground | None = None


@dataclass(frozen=True, eq=False)
class PatchTokens:
    """The tokens of one image on the grid of the last layer.

    Args:
        tokens: without those that cover padding alone.
        patch: (height, width) of a token in pixels.
        size: (height, width) of the image, as the encoder receives it.
    """

    tokens: Float[Tensor, "C h w"]  # on the CPU
    patch: tuple[float, float]
    size: tuple[int, int]

    def __reduce__(self) -> tuple[Any, ...]:
        """Travels as an array: PyTorch would send a handle to shared memory for each tensor."""
        return _from_array, (self.tokens.numpy(), self.patch, self.size)

    def at_pixels(self, mask: Bool[np.ndarray, "h w"]) -> UInt8[np.ndarray, "H W"]:
        """Converts a mask of tokens to a map of pixels: 1 where it is true, 0 elsewhere."""
        rows, columns = (
            np.floor((np.arange(side) + 0.5) / pixels).astype(np.int64)
            for side, pixels in zip(self.size, self.patch, strict=True)
        )
        labels: UInt8[np.ndarray, "H W"] = mask[rows][:, columns].astype(np.uint8)
        return labels

    def first_pixel(self, row: int, column: int) -> tuple[int, int]:
        """Returns the first pixel (y, x) of a token."""
        return max(math.ceil(row * self.patch[0] - 0.5), 0), max(math.ceil(column * self.patch[1] - 0.5), 0)


def _from_array(tokens: Float[np.ndarray, "C h w"], *others: Any) -> PatchTokens:
    return PatchTokens(torch.from_numpy(tokens), *others)


def patch_tokens(activations: Activations, device: torch.device | str = "cpu") -> list[PatchTokens]:
    """Returns the tokens of every image of the batch, on ``device``."""
    size, grids = activations.image_size, activations.last
    patch = (activations.padded_size[0] / grids.shape[2], activations.padded_size[1] / grids.shape[3])
    height, width = (int((side - 0.5) / pixels) + 1 for side, pixels in zip(size, patch, strict=True))
    return [PatchTokens(grid[:, :height, :width].float(), patch, size) for grid in grids.to(device)]


@runtime_checkable
class Localizer(Protocol):
    """Localizes objects on a map of clusters, or on a map of its own from the tokens alone.

    Attributes:
        reads_tokens: whether it needs the tokens, which then leave the device.
        foreground: where the foreground head comes from: one of ``SOURCES`` of :mod:`nave.localization.switch`, or its
            file.
    """

    reads_tokens: bool

    @property
    def foreground(self) -> str: ...  # noqa: D102 - described above

    def layers(self, layers: Sequence[str]) -> list[str]:
        """Returns the modules to read, given the layers of the configuration."""
        ...

    def ks(self, ks: Sequence[NumberOfClusters]) -> tuple[NumberOfClusters | None, ...]:
        """Returns the numbers of clusters to use, given those of the configuration; None: no clustering."""
        ...

    def __call__(
        self, labels: Map | None, tokens: PatchTokens | None, foreground: Foreground | None = None
    ) -> tuple[Map, Localization]:
        """Returns the map of one image and its boxes; on the CPU, in any process.

        Args:
            labels: the clusters of the image; None where ``ks`` returns None.
            tokens: of the last of :meth:`layers`; None unless ``reads_tokens``.
            foreground: what the foreground head says of the image; None without a head.
        """
        ...


class Baseline(ABC):
    """Base of methods that compute their own map from the tokens of one layer, without clustering.

    Args:
        features: ``tokens`` of the last layer, or ``keys`` of its attention.

    Raises:
        ValueError: for other features.
    """

    reads_tokens = True
    foreground = OFF

    def __init__(self, features: str) -> None:
        if features not in ("tokens", "keys"):
            raise ValueError(f"localization.features={features!r}: choose tokens or keys")
        self.features = features

    def layers(self, layers: Sequence[str]) -> list[str]:
        """Returns the last of ``layers``, or its projection to queries, keys and values."""
        return [f"{layers[-1]}.attn.qkv" if self.features == "keys" else layers[-1]]

    def ks(self, ks: Sequence[NumberOfClusters]) -> tuple[None]:  # noqa: ARG002 - the protocol's signature
        """Returns no number of clusters."""
        return (None,)

    def __call__(
        self,
        labels: None,  # noqa: ARG002 - the protocol's signature
        tokens: PatchTokens,
        foreground: None = None,  # noqa: ARG002 - the protocol's signature
    ) -> tuple[Map, Localization]:
        """See :class:`Localizer`."""
        return self.localize(tokens)

    @abstractmethod
    def localize(self, tokens: PatchTokens) -> tuple[Map, Localization]:
        """Returns the map of one image and its box."""

    def rows(self, tokens: PatchTokens) -> Float[Tensor, "N c"]:
        """Returns one row per token, in raster order; keys (of all heads) are the second third of ``attn.qkv``."""
        grid = tokens.tokens.chunk(3)[1] if self.features == "keys" else tokens.tokens
        return grid.flatten(1).T


def component_at(labels: UInt8[np.ndarray, "H W"], pixel: tuple[int, int]) -> Localization:
    """Returns the 4-connected component that contains ``pixel`` (y, x) as the only one, as LOST and TokenCut do."""
    regions = Regions.of(labels)
    (component,) = describe(regions, np.array([regions.at(pixel)]))
    return Localization(((component, 1.0),), component.box)


def resized(labels: Map, size: tuple[int, int]) -> UInt8[np.ndarray, "_h _w"]:
    """Returns the map at another (height, width), by nearest neighbour."""
    if labels.shape == size:
        return labels
    return np.asarray(Image.fromarray(labels).resize((size[1], size[0]), Image.Resampling.NEAREST))


def whole_image(size: tuple[int, int]) -> Localization:
    """Returns the whole image as the only component and the box."""
    return component_at(np.zeros(size, np.uint8), (0, 0))
