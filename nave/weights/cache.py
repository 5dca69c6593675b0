"""The folder in which converted weights are kept, and the digest by which they are known."""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

import platformdirs
from torch import Tensor

from nave.weights.error import WeightsError


def cache_folder() -> Path:
    """`NAVE_CACHE`, else the user's cache folder; made where it is missing, WeightsError if it cannot be."""
    chosen = os.environ.get("NAVE_CACHE")
    folder = Path(chosen).expanduser() if chosen else platformdirs.user_cache_path("nave")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WeightsError(f"the cache folder {folder} cannot be made ({error}); set NAVE_CACHE") from error
    return folder


def tensors_sha256(tensors: Mapping[str, Tensor]) -> str:
    """Digest of names, types, shapes and values in the order of names: the same whatever file they lie in."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()
