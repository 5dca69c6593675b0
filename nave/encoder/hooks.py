"""Activations of named layers from one forward pass, captured by hooks that are always removed."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from nave.near_names import near


@dataclass(frozen=True, eq=False)
class Activations:
    """Feature maps of one or more layers for a batch of images of one size.

    Args:
        grids: by module name, in the order of the encoder's layers.
        padded_size: (height, width) of the network's input in pixels; zero at right and bottom of the images.
        image_size: (height, width) of the images in pixels.
    """

    grids: dict[str, Float[Tensor, "B _C _h _w"]]
    padded_size: tuple[int, int]
    image_size: tuple[int, int]

    @property
    def last(self) -> Float[Tensor, "B C h w"]:
        """The grid of the last of the encoder's layers."""
        return list(self.grids.values())[-1]


@dataclass(frozen=True)
class Layout:
    """How the outputs of a network's layers lie on its input.

    Args:
        stride: pixels per point of the coarsest layer, which is that of tokens.
        prefix_tokens: number of class and register tokens, which come before those of patches.
        channels_last: whether a map is ``(B, h, w, C)`` where its shape is ambiguous.
    """

    stride: int
    prefix_tokens: int = 0
    channels_last: bool = False


INTERMEDIATES = "intermediates."  # begins the name of a layer that is no module of its own


class NonFiniteError(ValueError):
    """Activations that are NaN or infinite, or so large that their squares are; names layers and images."""


def check_finite(activations: Activations, image_ids: Sequence[str]) -> None:
    """Refuses activations that cannot be clustered, with one norm a layer and image and one synchronisation.

    Raises:
        NonFiniteError: if the Euclidean norm of a layer of an image is not a number of float32.
    """
    norms = [torch.linalg.vector_norm(grid, dim=(1, 2, 3), dtype=torch.float32) for grid in activations.grids.values()]
    finite = torch.stack(norms).isfinite().cpu()
    if bool(finite.all()):
        return
    layers = [name for name, images in zip(activations.grids, finite, strict=True) if not bool(images.all())]
    named = [image_id for image_id, layers_of in zip(image_ids, finite.T, strict=True) if not bool(layers_of.all())]
    raise NonFiniteError(
        f"the activations of {', '.join(layers)} are NaN or infinite for {', '.join(named)}: use full precision "
        "(trainer.precision=32-true, cache_dtype=float32), other weights or other layers"
    )


class UnknownLayerError(ValueError):
    """A layer that the network does not have; the message lists the choices."""


def feature_info(network: nn.Module) -> list[dict[str, Any]]:
    """timm's description of the layers that an index counts: ``module`` and ``reduction`` (pixels per point).

    Empty for a module that is none of timm's.
    """
    info: Any = getattr(network, "feature_info", [])
    return list(info if isinstance(info, list) else info.get_dicts())


def layout_of(network: nn.Module) -> Layout:
    """What timm says of its network's outputs; of another module nothing is known: a stride of 1."""
    return Layout(
        stride=int(max((info["reduction"] for info in feature_info(network)), default=1)),
        prefix_tokens=getattr(network, "num_prefix_tokens", 0),
        channels_last=getattr(network, "output_fmt", "NCHW") == "NHWC",
    )


def layer_modules(network: nn.Module) -> list[str]:
    """Names of the layers that an index counts, as in timm's ``forward_intermediates``: modules if they are any.

    ``intermediates.2`` is what timm computes there where it names no module (or one for several layers, as CoaT).
    """
    named = [info["module"] for info in feature_info(network)]
    modules = {name for name, one in network.named_modules() if name and not isinstance(one, nn.ModuleList)}
    unique = [name in modules and named.count(name) == 1 for name in named]
    return [name if one else f"{INTERMEDIATES}{i}" for i, (name, one) in enumerate(zip(named, unique, strict=True))]


def layer_names(network: nn.Module, layers: Sequence[int | str]) -> list[str]:
    """Returns the module names of ``layers``: indices into :func:`layer_modules` (negative ones too) or names.

    Raises:
        UnknownLayerError: for a name or an index that the network does not have, or a layer named twice.
    """
    names = [_layer_name(network, layer) for layer in layers]
    if not names:
        raise UnknownLayerError(f"layers is empty; choose from {layer_modules(network)} or their indices")
    if twice := {name for name in names if names.count(name) > 1}:
        raise UnknownLayerError(f"layers={list(layers)} names {', '.join(sorted(twice))} more than once")
    return names


def _layer_name(network: nn.Module, layer: int | str) -> str:
    choices = layer_modules(network)
    if isinstance(layer, int):
        if not choices:
            children = ", ".join(name for name, _ in network.named_children())
            raise UnknownLayerError(
                f"layer {layer}: the layers of {type(network).__name__} have no numbers, since it is none of timm's; "
                f"give names, such as {children} or what is inside of these"
            )
        if not -len(choices) <= layer < len(choices):
            raise UnknownLayerError(
                f"layer {layer} is out of range: {type(network).__name__} has {len(choices)} layers, "
                f"{-len(choices)} to {len(choices) - 1}: {', '.join(choices)}"
            )
        return choices[layer]
    modules = [name for name, _ in network.named_modules() if name]
    if layer not in modules and layer not in choices:
        raise UnknownLayerError(
            f"{type(network).__name__} has no layer '{layer}'.{near(layer, modules)} "
            f"Layers by index 0 to {len(choices) - 1}: {', '.join(choices)}"
        )
    return layer


@contextmanager
def capture_activations(network: nn.Module, names: Sequence[str], unwrapped: bool = False) -> Iterator[dict[str, Any]]:
    """Collects the outputs of the named modules during one forward pass; removes the hooks on exceptions too.

    Args:
        unwrapped: keep the first tensor of a tuple, a list or a mapping (an output of transformers).

    Raises:
        UnknownLayerError: on leaving, for modules that were not called.
    """
    outputs: dict[str, Any] = {}

    def keep(name: str) -> torch.utils.hooks.RemovableHandle:
        def hook(_module: nn.Module, _inputs: object, output: object) -> None:
            output = _first(output) if unwrapped else output
            # copied, because the network may modify it in place (ResNet's ReLU after its sums)
            outputs[name] = output.clone() if isinstance(output, Tensor) else output

        return network.get_submodule(name).register_forward_hook(hook)

    with ExitStack() as hooks:
        for name in names:
            hooks.enter_context(keep(name))
        yield outputs
    if missed := [name for name in names if name not in outputs]:
        raise UnknownLayerError(
            f"{type(network).__name__} computes its features without {', '.join(missed)}; "
            f"choose from {', '.join(layer_modules(network))}"
        )


def _first(output: object) -> object:
    """The first tensor of nested tuples, lists and mappings; something else if there is none."""
    if isinstance(output, Mapping):
        output = tuple(output.values())
    return _first(output[0]) if isinstance(output, tuple | list) and output else output


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """Puts all modules into eval mode, and back into the mode that each had."""
    modes = {module: module.training for module in network.modules()}
    network.eval()
    try:
        yield
    finally:
        for module, training in modes.items():
            module.training = training


def run(network: nn.Module, pixels: Float[Tensor, "B 3 H W"]) -> None:
    """One forward pass for the hooks' sake; networks of timm leave out their head."""
    getattr(network, "forward_features", network)(pixels)


def as_grid(
    output: object, name: str, grid: tuple[int, int], prefix_tokens: int, channels_last: bool
) -> Float[Tensor, "B C h w"]:
    """Converts the output of a layer to a feature map.

    Args:
        output: tokens ``(B, N, C)``, or maps ``(B, h, w, C)`` or ``(B, C, h, w)``.
        grid: (height, width) of the network's coarsest layer, which is the shape of its tokens.
        prefix_tokens: number of class and register tokens, which are removed.
        channels_last: whether a map is ``(B, h, w, C)`` where its shape is ambiguous.

    Raises:
        UnknownLayerError: if the output is no feature map (pooled, a tuple, other tokens, attention).
    """
    if isinstance(output, Tensor) and output.ndim == 4:
        last, first = _refines(output.shape[1:3], grid), _refines(output.shape[2:], grid)
        if last and (channels_last or not first):
            return output.permute(0, 3, 1, 2)
        if first:
            return output
    if isinstance(output, Tensor) and output.ndim == 3:
        tokens, points = output.shape[1], grid[0] * grid[1]
        if tokens in (points, points + prefix_tokens):
            return output[:, tokens - points :].transpose(1, 2).reshape(len(output), -1, *grid)
    kind = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
    raise UnknownLayerError(
        f"layer '{name}' returns {kind}, which is no feature map on a {grid[0]} x {grid[1]} grid; "
        "choose a block or a stage, by index for instance"
    )


def _refines(shape: Sequence[int], grid: tuple[int, int]) -> bool:
    factor = shape[0] // grid[0]
    return factor > 0 and tuple(shape) == (factor * grid[0], factor * grid[1])
