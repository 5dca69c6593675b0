"""Reads the maps of layers in one forward pass: from hooks, or where these find none as timm itself computes them."""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from nave.encoder.hooks import (
    INTERMEDIATES,
    Layout,
    UnknownLayerError,
    as_grid,
    capture_activations,
    layer_modules,
    layout_of,
    run,
)


class LayerReader:
    """The maps of a network's layers, in eval mode; remembers which layers have to be asked of timm.

    These are layers whose modules return no map that an index counts: several at once (HRNet, CrossViT), tokens in
    another order (Hiera), grids that are no whole division of the input (Inception).
    """

    def __init__(self, network: nn.Module) -> None:
        self.network, self.layout = network, layout_of(network)
        self.memory_format = torch.contiguous_format
        self._asked: set[str] = set()

    def use_channels_last(self) -> None:
        """Convolutions are faster with channels last, except for a single one that embeds patches.

        Weights of five axes (lambda layers) have no such format.
        """
        convolutions = sum(isinstance(module, nn.Conv2d) for module in self.network.modules())
        if convolutions > 1 and all(weight.ndim < 5 for weight in self.network.parameters()):
            self.memory_format = torch.channels_last
            self.network.to(memory_format=self.memory_format)

    def __call__(self, pixels: Float[Tensor, "B 3 H W"], layers: Sequence[str]) -> dict[str, Tensor]:
        """The maps ``(B, C, h, w)`` of the layers, in their order.

        Raises:
            UnknownLayerError: for a layer outside the feature extractor or without a feature map.
        """
        numbered = layer_modules(self.network)
        grids = self._hooked(pixels, [name for name in layers if self._has_hook(name)], numbered)
        if asked := sorted(numbered.index(name) for name in layers if name not in grids):
            ask: Any = self.network.forward_intermediates
            maps = ask(pixels, indices=asked, intermediates_only=True)
            grids |= {numbered[index]: grid for index, grid in zip(asked, maps, strict=True)}
        return {name: grids[name] for name in layers}

    def _has_hook(self, name: str) -> bool:
        return name not in self._asked and not name.startswith(INTERMEDIATES)

    def _hooked(
        self, pixels: Float[Tensor, "B 3 H W"], names: Sequence[str], numbered: Sequence[str]
    ) -> dict[str, Tensor]:
        if not names:
            return {}
        with capture_activations(self.network, names, unwrapped=not numbered) as outputs:
            run(self.network, pixels)
        grids = {}
        for name in names:
            try:
                grids[name] = self._grid(outputs[name], name, (pixels.shape[2], pixels.shape[3]))
            except UnknownLayerError:
                if name not in numbered:
                    raise
                self._asked.add(name)
        return grids

    def _grid(self, output: object, name: str, size: tuple[int, int]) -> Float[Tensor, "B C h w"]:
        layout: Layout = self.layout
        grid = (size[0] // layout.stride, size[1] // layout.stride)
        return as_grid(output, name, grid, layout.prefix_tokens, layout.channels_last)
