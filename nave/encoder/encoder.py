"""A frozen encoder: one class for every network of timm."""

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import timm
import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn
from torch.nn import functional

from nave.encoder.hooks import Activations, as_grid, capture_activations, feature_info, layer_modules, layer_names
from nave.weights.checkpoint import load_checkpoint


class Encoder(nn.Module):
    """A network of timm without its head, frozen and in eval mode, that returns the activations of chosen layers.

    Args:
        name: the model's name in the configuration, for messages and records.
        architecture: timm's name of the network.
        layers: indices (counted as in timm's ``forward_intermediates``) or names of modules.
        schemes: the training schemes of the model and the source of their weights; see :mod:`nave.weights`.
        training: a scheme, or an encoder trained by ``nave.train``: its name in ``outputs/encoders`` or its file.
        weights: a file that replaces the scheme's weights.
        weights_key: the container or the prefix of that file to take, such as ``teacher``; None for what fits best.
        training_name: what records and pictures call the training; None for the scheme's name or that of the file.
        options: further arguments of ``timm.create_model``.
        image_size: side of the square images of a network of fixed input size (Mixer); None for any size.
        seed: of the weights of ``training=random``.

    Raises:
        nave.weights.WeightsError: if the weights are not available or do not fit.
        nave.encoder.hooks.UnknownLayerError: for layers that the network does not have.
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
        weights_key: str | None = None,
        training_name: str | None = None,
        options: Mapping[str, Any] | None = None,
        image_size: int | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.name, self.image_size = name, image_size
        checkpoint = load_checkpoint(name, architecture, training, schemes, weights, training_name)
        self.network = _network(checkpoint.architecture, dict(options or {}), seed)
        self.checkpoint = checkpoint.load_into(self.network, weights_key)
        self._made_for = _made_for(self.network, options or {})
        # convolutions are faster with channels last, except for the single one that embeds patches
        convolutions = sum(isinstance(module, nn.Conv2d) for module in self.network.modules())
        self.memory_format = torch.channels_last if convolutions > 1 else torch.contiguous_format
        self.network.to(memory_format=self.memory_format)
        self.select_layers(layers)
        self.register_buffer("mean", torch.tensor(self.checkpoint.mean).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(self.checkpoint.std).view(3, 1, 1), persistent=False)

    @property
    def stride(self) -> int:
        """Pixels per point of the coarsest layer; the input's sides are multiples of it."""
        return int(max(info["reduction"] for info in feature_info(self.network)))

    def padded(self, size: tuple[int, int]) -> tuple[int, int]:
        """Returns the network's ``(height, width)`` for an image of ``size``: padded to multiples of the stride.

        Raises:
            ValueError: for a size that the network does not accept.
        """
        if self.image_size is not None and size != (self.image_size, self.image_size):
            raise ValueError(self._only((self.image_size, self.image_size), size))
        height, width = (-(-side // self.stride) * self.stride for side in size)
        fixed = fixed_size(self.network)
        if fixed is not None and fixed != (height, width):
            raise ValueError(self._only(fixed, size))
        return height, width

    def _only(self, accepted: tuple[int, int], size: Sequence[int]) -> str:
        height, width = accepted
        cure = f"set image_size={height}" if height == width else f"give images of {height} x {width} (height x width)"
        return f"model={self.name} takes images of {height} x {width} only, not {size[0]} x {size[1]}: {cure}"

    def select_layers(self, layers: Sequence[int | str]) -> None:
        """Replaces the layers given to the constructor.

        Raises:
            nave.encoder.hooks.UnknownLayerError: for layers that the network does not have.
        """
        self.layers = layer_names(self.network, layers)

    @torch.inference_mode()
    def forward(self, images: UInt8[Tensor, "B 3 H W"]) -> Activations:
        """Computes the activations of the layers, in their order.

        Raises:
            ValueError: for a size that the network does not accept.
            nave.encoder.hooks.UnknownLayerError: for a layer outside the feature extractor or without a feature map.
        """
        pixels = self.pixels(images)
        with capture_activations(self.network, self.layers) as outputs, self._size_named(images, pixels):
            self.network.forward_features(pixels)  # type: ignore[operator]
        padded = (pixels.shape[2], pixels.shape[3])
        grids = {name: self._grid(outputs[name], name, padded) for name in self.layers}
        return Activations(grids, padded, (images.shape[2], images.shape[3]))

    @contextmanager
    def _size_named(self, images: Tensor, pixels: Tensor) -> Iterator[None]:
        """Names ``image_size`` if a network that was made for one size fails at another, wherever it fails."""
        try:
            yield
        except (AssertionError, RuntimeError) as error:
            if self._made_for in (None, tuple(pixels.shape[2:])) or isinstance(error, torch.OutOfMemoryError):
                raise
            message = f"{self._only(self._made_for, images.shape[2:])} ({type(error).__name__}: {error})"
            raise ValueError(message) from error

    def pixels(self, images: UInt8[Tensor, "B 3 H W"]) -> Float[Tensor, "B 3 _H _W"]:
        """Normalises images with the network's mean and deviation, then pads right and bottom with zeros (as LOST)."""
        height, width = self.padded((images.shape[2], images.shape[3]))
        pixels = (images / 255 - self.mean) / self.std
        pixels = functional.pad(pixels, (0, width - images.shape[3], 0, height - images.shape[2]))
        return pixels.contiguous(memory_format=self.memory_format)

    def unfreeze(self) -> "Encoder":
        """Puts the network into training mode with gradients; returns the encoder."""
        self.network.train().requires_grad_(True)
        return self

    def _grid(self, output: Tensor, name: str, size: tuple[int, int]) -> Float[Tensor, "B C h w"]:
        grid = (size[0] // self.stride, size[1] // self.stride)
        prefix = getattr(self.network, "num_prefix_tokens", 0)
        channels_last = getattr(self.network, "output_fmt", "NCHW") == "NHWC"
        return as_grid(output, name, grid, prefix, channels_last)


def fixed_size(network: nn.Module) -> tuple[int, int] | None:
    """The only ``(height, width)`` that the embedding of patches accepts; None if it accepts others."""
    embedding = getattr(network, "patch_embed", None)
    size = getattr(embedding, "img_size", None)
    return (int(size[0]), int(size[1])) if size is not None and getattr(embedding, "strict_img_size", False) else None


def _made_for(network: nn.Module, options: Mapping[str, Any]) -> tuple[int, int] | None:
    """The ``(height, width)`` for which timm builds the network; it may or may not accept others."""
    size = options.get("img_size") or getattr(network, "pretrained_cfg", {}).get("input_size", ())[-2:]
    height, width = (size, size) if isinstance(size, int) else tuple(size) or (None, None)
    return None if height is None else (int(height), int(width))


def _network(architecture: str, options: dict[str, Any], seed: int) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network: nn.Module = timm.create_model(architecture, num_classes=0, **options)
    return network.eval().requires_grad_(False)


def compile_layer_modules(network: nn.Module, layers: Sequence[str]) -> list[str]:
    """Compiles the modules that a layer index counts, each on its own, at their first call.

    Hooks on these modules still run. A module that contains one of ``layers`` is not compiled, because a compiled
    module does not call the hooks of its submodules.

    Returns:
        The names of the compiled modules.

    Raises:
        RuntimeError: without a C++ compiler, which torch's Inductor needs.
    """
    compiler = os.environ.get("CXX", "g++")
    if shutil.which(compiler) is None:
        raise RuntimeError(
            f"compile=true needs a C++ compiler, and there is no {compiler!r} here: install g++, set CXX, or use "
            "compile=false"
        )
    names = [name for name in layer_modules(network) if not any(layer.startswith(f"{name}.") for layer in layers)]
    for name in names:
        module = network.get_submodule(name)
        module.forward = torch.compile(module.forward)
    return names
