"""What made a result: versions, commit, weights, device."""

import hashlib
import importlib.metadata
import platform
import subprocess
from pathlib import Path
from typing import Any

import torch

from nave.data.photograph import Dataset
from nave.encoder import Encoder

PACKAGES = (
    "nave",
    "torch",
    "torchvision",
    "timm",
    "lightning",
    "torchmetrics",
    "scikit-learn",
    "numpy",
    "numba",
    "pillow",
)


def versions() -> dict[str, str]:
    """Of Python and of the packages that decide the numbers."""
    return {"python": platform.python_version()} | {name: importlib.metadata.version(name) for name in PACKAGES}


def commit() -> str | None:
    """The checkout's commit, with ``-dirty`` if files differ from it; None for an installed package."""
    described = subprocess.run(
        ["git", "describe", "--always", "--abbrev=40", "--exclude=*", "--dirty"],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=False,
    )
    return described.stdout.strip() or None


def encoder(network: Encoder) -> dict[str, Any]:
    """Which network was explained and where its numbers came from."""
    checkpoint = network.checkpoint
    return {
        "model": network.name,
        "architecture": checkpoint.architecture,
        "training": checkpoint.training,
        "weights": checkpoint.source,
        "weights_sha256": checkpoint.sha256,
        "layers": network.layers,
    }


def data(dataset: Dataset) -> dict[str, Any]:
    """Which images there are, by their ids: what they show is not looked at."""
    digest = hashlib.sha256()
    for index in range(len(dataset)):
        digest.update(f"{dataset.image_id(index)}\n".encode())
    return {"data": dataset.name, "data_sha256": digest.hexdigest()}


def device_name(device: torch.device, processes: int = 1) -> str:
    """``cuda:0 (NVIDIA H100)``, or ``2 x cpu (2 threads)`` with several processes."""
    name = str(device)
    if device.type == "cuda":
        name = f"{device} ({torch.cuda.get_device_name(device)})"
    if device.type == "cpu":
        name = f"{device} ({torch.get_num_threads()} threads)"
    return f"{processes} x {name}" if processes > 1 else name
