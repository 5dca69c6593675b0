"""A frozen encoder: one class for every network that timm can build."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import timm
import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn
from torch.nn import functional

from nave.hooks import as_grid, captured, feature_info, layer_names
from nave.weights import load_checkpoint, load_into


class Encoder(nn.Module):
    """Images in, the activations of some layers out: eval mode, no gradient (until it is thawed), no head.

    Args:
        name: the model's name in the configuration, for messages and records.
        architecture: timm's name of the network.
        layers: what to read: indices (counted as in timm's ``forward_intermediates``) or module names.
        schemes: the training schemes of the model and where their weights come from; see :mod:`nave.weights`.
        training: the scheme to load, or what ``nave.train`` made: a name in ``outputs/encoders`` or a file.
        weights: a file that overrides the scheme's weights.
        options: further arguments of ``timm.create_model``.
        image_size: the side of the only input that the network takes (Mixer); None for any size.
        seed: draws the weights of ``training=random``.

    Raises:
        nave.weights.WeightsError: for weights that cannot be had or do not fit.
        nave.hooks.UnknownLayerError: for layers that the network does not have.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        name: str,
        architecture: str,
        layers: Sequence[int | str],
        schemes: Mapping[str, str],
        *,
        training: str = "default",
        weights: str | Path | None = None,
        options: Mapping[str, Any] | None = None,
        image_size: int | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.name, self.image_size = name, image_size
        checkpoint = load_checkpoint(name, architecture, training, schemes, weights)
        self.checkpoint = replace(checkpoint, state_dict=None)  # the network holds the tensors from here on
        self.network = _network(checkpoint.architecture, dict(options or {}), seed)
        if checkpoint.state_dict is not None:
            load_into(self.network, checkpoint.state_dict, checkpoint.source)
        # convolutions are faster with channels last; a lone one only cuts the patches of a transformer
        convolutions = sum(isinstance(module, nn.Conv2d) for module in self.network.modules())
        self.memory_format = torch.channels_last if convolutions > 1 else torch.contiguous_format
        self.network.to(memory_format=self.memory_format)
        self.layers = layer_names(self.network, layers)
        self.register_buffer("mean", torch.tensor(self.checkpoint.mean).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(self.checkpoint.std).view(3, 1, 1), persistent=False)

    @property
    def stride(self) -> int:
        """Pixels that the input's sides must be multiples of: the patch size or the coarsest reduction."""
        return int(max(stage["reduction"] for stage in feature_info(self.network)))

    def padded(self, size: tuple[int, int]) -> tuple[int, int]:
        """The network's ``(height, width)`` for an image of ``size``: zeros at right and bottom (LOST).

        Raises:
            ValueError: for a size that the network cannot take.
        """
        if self.image_size is not None and size != (self.image_size, self.image_size):
            raise ValueError(
                f"model={self.name} takes images of {self.image_size} x {self.image_size} alone, not "
                f"{size[0]} x {size[1]}: set image_size={self.image_size}"
            )
        return -(-size[0] // self.stride) * self.stride, -(-size[1] // self.stride) * self.stride

    @torch.inference_mode()
    def forward(self, images: UInt8[Tensor, "B 3 H W"]) -> dict[str, Float[Tensor, "B _C _h _w"]]:
        """Activations of the layers on their grids, in the order of ``layers``.

        Raises:
            nave.hooks.UnknownLayerError: for a layer that is no part of the features or no feature map.
        """
        pixels = self.pixels(images)
        with captured(self.network, self.layers) as outputs:
            self.network.forward_features(pixels)  # type: ignore[operator]
        size = (pixels.shape[2], pixels.shape[3])
        return {name: self._grid(outputs[name], name, size) for name in self.layers}

    def pixels(self, images: UInt8[Tensor, "B 3 H W"]) -> Float[Tensor, "B 3 _H _W"]:
        """What the network is given: images scaled with its own mean and deviation, then padded with zeros."""
        height, width = self.padded((images.shape[2], images.shape[3]))
        pixels = (images / 255 - self.mean) / self.std
        pixels = functional.pad(pixels, (0, width - images.shape[3], 0, height - images.shape[2]))
        return pixels.contiguous(memory_format=self.memory_format)

    def thaw(self) -> "Encoder":
        """Makes the network ready to be trained (``nave.train``); this encoder, for chaining."""
        self.network.train().requires_grad_(True)
        return self

    def _grid(self, output: Tensor, name: str, size: tuple[int, int]) -> Float[Tensor, "B C h w"]:
        grid = (size[0] // self.stride, size[1] // self.stride)
        prefix = getattr(self.network, "num_prefix_tokens", 0)
        channels_last = getattr(self.network, "output_fmt", "NCHW") == "NHWC"
        return as_grid(output, name, grid, prefix, channels_last)


def _network(architecture: str, options: dict[str, Any], seed: int) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network: nn.Module = timm.create_model(architecture, num_classes=0, **options)
    return network.eval().requires_grad_(False)
