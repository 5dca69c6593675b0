"""What made a result: versions, commit, weights, device."""

import importlib.metadata
import platform
import subprocess
from pathlib import Path
from typing import Any

import torch

from nave.encoder import Encoder

PACKAGES = ("nave", "torch", "torchvision", "timm", "lightning", "torchmetrics", "scikit-learn", "numpy", "numba", "pillow")


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


def device_name(device: torch.device) -> str:
    """``cuda:0 (NVIDIA H100)``, or ``cpu (2 threads)``."""
    if device.type == "cuda":
        return f"{device} ({torch.cuda.get_device_name(device)})"
    return f"{device} ({torch.get_num_threads()} threads)" if device.type == "cpu" else str(device)
