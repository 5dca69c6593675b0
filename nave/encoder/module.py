"""Any torch module as an encoder: what cannot be asked of it is found out with one black image."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from nave.encoder.encoder import Encoder
from nave.encoder.hooks import Layout, UnknownLayerError, capture_activations, evaluating, run
from nave.weights.checkpoint import Checkpoint
from nave.weights.tensor_sets import tensors_sha256

PROBE = 448  # side of the black image: a multiple of 14, of 16 and of 64
Sides = tuple[int, int]


def module_encoder(
    module: nn.Module,
    layers: Sequence[int | str] | None,
    mean: Sequence[float] | None,
    std: Sequence[float] | None,
    *,
    image_size: int | Sequence[int] | None = None,
    stride: int | None = None,
    prefix_tokens: int | None = None,
) -> Encoder:
    """An encoder around ``module``, which is neither copied nor changed.

    Args:
        module: takes images ``(B, 3, H, W)`` as its only argument.
        layers: names of its modules; of what they return (a tensor, or a tuple, list or mapping with it at the front)
            maps ``(B, C, h, w)``, ``(B, h, w, C)`` and tokens ``(B, N, C)`` are feature maps.
        mean: per channel, of the images that it was trained on, from 0 to 1.
        std: standard deviation, likewise.
        image_size: side or (height, width) of the images, if it takes one size only.
        stride: pixels per point of the coarsest layer; found with one black image unless it is given.
        prefix_tokens: class and register tokens before those of the patches; likewise.

    Raises:
        ValueError: for what is missing, and for a size that the module does not take.
        nave.encoder.hooks.UnknownLayerError: for layers that it does not have or that are no feature maps.
    """
    name = type(module).__name__
    if layers is None or mean is None or std is None:
        raise ValueError(_needed(name, {"layers": layers, "mean": mean, "std": std}))
    if len(mean) != 3 or len(std) != 3:
        raise ValueError(f"{name}: mean={list(mean)} and std={list(std)} need one number for red, green and blue each")
    tensors = {key: tensor for key, tensor in module.state_dict().items() if isinstance(tensor, Tensor)}
    checkpoint = Checkpoint(
        architecture=f"{type(module).__module__}.{type(module).__qualname__}",
        training="given",
        scheme="given",
        mean=tuple(mean),
        std=tuple(std),
        tensor_sets=(),
        source="module",
        sha256=tensors_sha256(tensors),
    )
    encoder = Encoder.of_module(name, module, layers, checkpoint, image_size)
    encoder.reader.layout = probe(encoder, stride, prefix_tokens)
    return encoder


def _needed(name: str, arguments: dict[str, object]) -> str:
    missing = " and ".join(key for key, value in arguments.items() if value is None)
    return (
        f"nave.load({name}) needs {missing}: layers are names of its modules (module.named_modules()); mean and std "
        "those of the images that it was trained on, for ImageNet (0.485, 0.456, 0.406) and (0.229, 0.224, 0.225), for "
        "a model of transformers image_mean and image_std of its image processor"
    )


def probe(encoder: Encoder, stride: int | None, prefix_tokens: int | None) -> Layout:
    """How the layers' outputs lie on the image; what is given is believed."""
    if hasattr(encoder.network, "feature_info") and stride is None and prefix_tokens is None:
        return encoder.reader.layout
    size = encoder.only_size or (PROBE, PROBE)
    found = [_layout(output, name, size, stride, prefix_tokens) for name, output in _outputs(encoder, size).items()]
    return Layout(
        stride=stride or max(layout.stride for layout in found),
        prefix_tokens=max(layout.prefix_tokens for layout in found),
        channels_last=all(layout.channels_last for layout in found),
    )


@torch.inference_mode()
def _outputs(encoder: Encoder, size: Sides) -> dict[str, object]:
    parameter = next(encoder.network.parameters(), torch.zeros(()))
    black = torch.zeros(1, 3, *size, device=parameter.device, dtype=parameter.dtype)
    with (
        encoder.size_named(size, size),
        evaluating(encoder.network),
        capture_activations(encoder.network, encoder.layers, unwrapped=True) as outputs,
    ):
        run(encoder.network, black)
    return outputs


def _layout(output: object, name: str, size: Sides, stride: int | None, prefix_tokens: int | None) -> Layout:
    if isinstance(output, Tensor) and output.ndim == 4:
        channels_last = output.shape[1] == output.shape[2] != output.shape[3]
        height = output.shape[1 if channels_last else 2]
        return Layout(max(round(size[0] / height), 1), 0, channels_last)
    if isinstance(output, Tensor) and output.ndim == 3:
        for pixels in range(1, min(size) + 1) if stride is None else [stride]:
            prefix = output.shape[1] - (size[0] // pixels) * (size[1] // pixels)
            whole = size[0] % pixels == 0 == size[1] % pixels
            if whole and (prefix >= 0 if prefix_tokens is None else prefix == prefix_tokens):
                return Layout(pixels, prefix, False)
    kind = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
    raise UnknownLayerError(
        f"layer '{name}' returns {kind} for an image of {size[0]} x {size[1]}, which is no feature map: choose a block "
        "or a stage; for tokens, stride= and prefix_tokens= say how they lie on the image"
    )
