"""Activations of named layers, read once, through forward hooks that are always removed."""

import difflib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from jaxtyping import Float
from torch import Tensor, nn


class UnknownLayerError(ValueError):
    """A layer that the network does not have; the message lists those it has."""


def stages(network: nn.Module) -> list[str]:
    """Names of the modules that a layer index counts: timm's ``feature_info``, as in ``forward_intermediates``."""
    info = network.feature_info
    return [stage["module"] for stage in (info if isinstance(info, list) else info.get_dicts())]


def layer_names(network: nn.Module, layers: Sequence[int | str]) -> list[str]:
    """Module names of ``layers``: indices into :func:`stages` (negative ones count from the end) or names.

    Raises:
        UnknownLayerError: for a name or an index that the network lacks, or a layer named twice.
    """
    names = [_layer_name(network, layer) for layer in layers]
    if not names:
        raise UnknownLayerError(f"layers is empty; choose from {stages(network)} or their indices")
    if twice := {name for name in names if names.count(name) > 1}:
        raise UnknownLayerError(f"layers={list(layers)} names {', '.join(sorted(twice))} more than once")
    return names


def _layer_name(network: nn.Module, layer: int | str) -> str:
    choices = stages(network)
    if isinstance(layer, int):
        if not -len(choices) <= layer < len(choices):
            raise UnknownLayerError(
                f"layer {layer} is out of range: {type(network).__name__} has {len(choices)} layers, "
                f"{-len(choices)} to {len(choices) - 1}: {', '.join(choices)}"
            )
        return choices[layer]
    modules = [name for name, _ in network.named_modules() if name]
    if layer not in modules:
        close = difflib.get_close_matches(layer, modules, n=5) or choices
        raise UnknownLayerError(
            f"{type(network).__name__} has no layer '{layer}'; close names: {', '.join(close)}; "
            f"layers by index 0 to {len(choices) - 1}: {', '.join(choices)}"
        )
    return layer


@contextmanager
def captured(network: nn.Module, names: Sequence[str]) -> Iterator[dict[str, Tensor]]:
    """Collects the outputs of the named modules during one forward pass; an exception removes the hooks too."""
    outputs: dict[str, Tensor] = {}
    modules = dict(network.named_modules())

    def keep(name: str) -> torch.utils.hooks.RemovableHandle:
        return modules[name].register_forward_hook(lambda _m, _i, output: outputs.__setitem__(name, output))

    handles = [keep(name) for name in names]
    try:
        yield outputs
    finally:
        for handle in handles:
            handle.remove()


def as_grid(
    output: Tensor, name: str, grid: tuple[int, int], prefix_tokens: int, channels_last: bool
) -> Float[Tensor, "B C h w"]:
    """The output of one layer as a feature map.

    Tokens ``(B, N, C)`` lose their ``prefix_tokens`` (class, registers) and take the shape ``grid``; maps
    ``(B, h, w, C)`` of ``channels_last`` networks are permuted; ``(B, C, h, w)`` is taken as it is.

    Raises:
        UnknownLayerError: if the output is no feature map (pooled, a tuple, other tokens).
    """
    if isinstance(output, Tensor) and output.ndim == 4:
        return output.permute(0, 3, 1, 2) if channels_last else output
    if isinstance(output, Tensor) and output.ndim == 3:
        tokens, points = output.shape[1], grid[0] * grid[1]
        if tokens in (points, points + prefix_tokens):
            return output[:, tokens - points :].transpose(1, 2).unflatten(2, grid)
    got = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
    raise UnknownLayerError(
        f"layer '{name}' gives {got}, which is no feature map on a {grid[0]} x {grid[1]} grid; "
        "choose a block or a stage, by index for instance"
    )
