"""A frozen encoder: one class for every network of timm, and for any other module."""

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

from nave.data.input_size import height_width
from nave.encoder.hooks import Activations, UnknownLayerError, evaluating, layer_modules, layer_names
from nave.encoder.layer_reader import LayerReader
from nave.weights.checkpoint import Checkpoint, load_checkpoint
from nave.weights.schemes import chosen


class Encoder(nn.Module):
    """A network of timm without its head, frozen and in eval mode, that returns the activations of chosen layers.

    :meth:`of_module` makes one of any other module.

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
        image_size: side or (height, width) of the images of a network of fixed input size (Mixer); None for any size.
        seed: of the weights of ``training=random``.

    Raises:
        nave.weights.file.WeightsError: if the weights are not available or do not fit.
        nave.encoder.hooks.UnknownLayerError: for layers that the network does not have.
    """

    mean: Tensor
    std: Tensor
    random_seed: int | None = None  # of random weights, which no hash tells apart

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
        image_size: int | Sequence[int] | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        checkpoint = load_checkpoint(name, architecture, training, schemes, weights, training_name)
        network = _network(checkpoint.architecture, dict(options or {}), seed)
        checkpoint = checkpoint.load_into(network, weights_key)
        self.random_seed = seed if checkpoint.sha256 is None else None
        self._hold(name, network, layers, checkpoint, image_size, _made_for(network, options or {}))
        self.reader.use_channels_last()

    @classmethod
    def of_module(
        cls,
        name: str,
        module: nn.Module,
        layers: Sequence[int | str],
        checkpoint: Checkpoint,
        image_size: int | Sequence[int] | None = None,
    ) -> "Encoder":
        """An encoder around a module as it is; ``checkpoint`` says what is known of its weights.

        Raises:
            nave.encoder.hooks.UnknownLayerError: for layers that the module does not have.
        """
        encoder = cls.__new__(cls)
        nn.Module.__init__(encoder)
        encoder._hold(name, module, layers, checkpoint, image_size, None)
        return encoder

    def _hold(
        self,
        name: str,
        network: nn.Module,
        layers: Sequence[int | str],
        checkpoint: Checkpoint,
        image_size: int | Sequence[int] | None,
        made_for: tuple[int, int] | None,
    ) -> None:
        self.name, self.network, self.checkpoint = name, network, checkpoint
        self.only_size = height_width(image_size)
        self._made_for, self.reader = made_for, LayerReader(network)
        self.select_layers(layers)
        self.register_buffer("mean", torch.tensor(checkpoint.mean).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(checkpoint.std).view(3, 1, 1), persistent=False)

    @property
    def stride(self) -> int:
        """Pixels per point of the coarsest layer; the input's sides are multiples of it."""
        return self.reader.layout.stride

    def padded(self, size: tuple[int, int]) -> tuple[int, int]:
        """Returns the network's ``(height, width)`` for an image of ``size``: padded to multiples of the stride.

        Raises:
            ValueError: for a size that the network does not accept.
        """
        if self.only_size is not None and size != self.only_size:
            raise ValueError(self._only(self.only_size, size))
        if size == self.only_size and self._made_for in (size, None):
            return size
        height, width = (-(-side // self.stride) * self.stride for side in size)
        fixed = fixed_size(self.network)
        if fixed is not None and fixed != (height, width):
            raise ValueError(self._only(fixed, size))
        return height, width

    def _only(self, accepted: tuple[int, int], size: Sequence[int]) -> str:
        height, width = accepted
        cure = f"set image_size={height}" if height == width else f"give images of {height} x {width} (height x width)"
        return f"{chosen(self.name)} takes images of {height} x {width} only, not {size[0]} x {size[1]}: {cure}"

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
        padded = (pixels.shape[2], pixels.shape[3])
        with self.size_named(padded, (images.shape[2], images.shape[3])):
            grids = self._read(pixels)
        return Activations(grids, padded, (images.shape[2], images.shape[3]))

    @contextmanager
    def size_named(self, padded: tuple[int, int], size: tuple[int, int]) -> Iterator[None]:
        """Names ``image_size`` if a network fails at a size for which it was not made, wherever it fails."""
        try:
            yield
        except UnknownLayerError:
            raise
        except (AssertionError, RuntimeError, ValueError, TypeError, IndexError) as error:
            if self._made_for == padded or isinstance(error, torch.OutOfMemoryError) or self._fails_anyway():
                raise
            cause = f"({type(error).__name__}: {error})"
            raise ValueError(f"{self._refused(size)} {cause}") from error

    def _read(self, pixels: Float[Tensor, "B 3 H W"]) -> dict[str, Tensor]:
        with evaluating(self.network):
            return self.reader(pixels, self.layers)

    def _fails_anyway(self) -> bool:
        """Whether the network fails at the size for which it was made too: then the size is not the reason."""
        if self._made_for is None:
            return False
        try:
            self._read(self.mean.new_zeros(1, 3, *self._made_for))
        except Exception:
            return True
        return False

    def _refused(self, size: tuple[int, int]) -> str:
        if self._made_for is not None:
            return self._only(self._made_for, size)
        cure = "set image_size to the size for which it was made"
        return f"{chosen(self.name)} does not take images of {size[0]} x {size[1]}: {cure}"

    def pixels(self, images: UInt8[Tensor, "B 3 H W"]) -> Float[Tensor, "B 3 _H _W"]:
        """Normalises images with the network's mean and deviation, then pads right and bottom with zeros (as LOST)."""
        height, width = self.padded((images.shape[2], images.shape[3]))
        pixels = (images / 255 - self.mean) / self.std
        pixels = functional.pad(pixels, (0, width - images.shape[3], 0, height - images.shape[2]))
        return pixels.contiguous(memory_format=self.reader.memory_format)

    def unfreeze(self) -> "Encoder":
        """Puts the network into training mode with gradients; returns the encoder."""
        self.network.train().requires_grad_(True)
        return self


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
    modules = {name for name, _ in network.named_modules()}.intersection(layer_modules(network))
    outside = [name for name in modules if not any(layer.startswith(f"{name}.") for layer in layers)]
    names = [name for name in layer_modules(network) if name in outside]
    for name in names:
        module = network.get_submodule(name)
        module.forward = torch.compile(module.forward)
    return names
