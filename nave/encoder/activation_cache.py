"""Activations on disk, so that the jobs of ``-m k=3,5 layers=[-2,-1],[-1] cache=DIR`` share one encoder pass."""

import hashlib
import json
import os
import time
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import safetensors
import safetensors.torch
import timm
import torch
from jaxtyping import UInt8
from torch import Tensor, nn

from nave.encoder.encoder import Encoder
from nave.encoder.hooks import Activations
from nave.runs.files import PART, write_bytes
from nave.weights.tensor_sets import tensors_sha256

GRID = "grid"  # name of the only tensor in a file
STALE_AFTER = 3600.0  # seconds after which a partial file belongs to a killed process
TRIM_TO = 0.9  # share of the limit that is kept when entries are removed


class ActivationCache:
    """Reads activations from ``folder``, and calls the encoder for batches that are not complete there.

    An entry holds one layer of one image, so that jobs with other layers share it. Its name is a hash of everything
    that affects the values: the network and its weights, the layer, the decoded image, preprocessing, precision, device
    type, batch shape (which affects rounding), versions of torch and timm. Several processes may share a folder, since
    files are written atomically.

    Args:
        folder: created if it does not exist.
        dtype: of the files; ``float16`` halves their size and rounds the activations, those of the first job too.
        limit_gb: beyond it, the least recently used entries are removed.
    """

    def __init__(self, folder: str | Path, dtype: str = "float32", limit_gb: float = 50.0) -> None:
        self.folder, self.dtype = Path(folder), getattr(torch, dtype)
        self.limit = int(limit_gb * 1e9)
        self._digests: WeakKeyDictionary[nn.Module, str] = WeakKeyDictionary()
        self._written: int | None = None  # bytes since the folder was last scanned; None: never scanned
        self._free = 0

    def __call__(self, encoder: Encoder, images: UInt8[Tensor, "B 3 H W"]) -> Activations:
        """Returns the activations of the batch, from disk if all of its entries exist.

        Raises:
            OSError: if the folder cannot be written.
        """
        paths = [self._paths(encoder, images, image) for image in images]
        known = {path: grid for path in chain(*paths) if (grid := self._read(path, images.device)) is not None}
        if all(path in known for path in chain(*paths)):
            layers = zip(encoder.layers, zip(*paths, strict=True), strict=True)
            grids = {name: torch.stack([known[path] for path in files]).float() for name, files in layers}
            size = (images.shape[2], images.shape[3])
            return Activations(grids, encoder.padded(size), size)
        computed: Activations = encoder(images)
        grids = {name: grid.to(self.dtype) for name, grid in computed.grids.items()}
        for i, files in enumerate(paths):
            for path, grid in zip(files, grids.values(), strict=True):
                if path not in known:
                    self._write(path, grid[i].cpu().contiguous())
        return replace(computed, grids={name: grid.float() for name, grid in grids.items()})

    def _paths(self, encoder: Encoder, images: Tensor, image: UInt8[Tensor, "3 H W"]) -> list[Path]:
        """Paths of the image's entries, in the order of the layers."""
        digest = hashlib.sha256(json.dumps(self._conditions(encoder, images), allow_nan=False).encode())
        digest.update(image.cpu().contiguous().numpy().tobytes())
        names = [_layer_digest(digest, layer) for layer in encoder.layers]
        return [self.folder / name[:2] / f"{name}.safetensors" for name in names]

    def _conditions(self, encoder: Encoder, images: Tensor) -> list[Any]:
        device = images.device.type
        compiled = any("forward" in vars(module) for module in encoder.network.modules())
        reduced = torch.is_autocast_enabled(device)
        if encoder.network not in self._digests:
            self._digests[encoder.network] = network_sha256(encoder.network)
        return [
            *(self._digests[encoder.network], encoder.mean.tolist(), encoder.std.tolist()),
            *(str(self.dtype), str(torch.get_autocast_dtype(device)) if reduced else "full", device, compiled),
            *(list(images.shape), torch.__version__, timm.__version__),
        ]

    def _read(self, path: Path, device: torch.device) -> Tensor | None:
        try:
            grid = safetensors.torch.load(path.read_bytes())[GRID]
            os.utime(path)  # marks the entry as recently used
        except (FileNotFoundError, NotADirectoryError, safetensors.SafetensorError):  # missing or damaged
            return None
        return grid.to(device)

    def _write(self, path: Path, grid: Tensor) -> None:
        content = safetensors.torch.save({GRID: grid})
        if len(content) > self.limit:
            return
        try:
            write_bytes(path, content)
        except OSError as error:
            raise OSError(
                f"the activation cache {self.folder} cannot be written ({error}): leave out cache="
            ) from error
        self._make_room(len(content))

    def _make_room(self, written: int) -> None:
        """Trims the folder on the first write, when it may be full, and regularly, as other processes write too."""
        self._written = None if self._written is None else self._written + written
        if self._written is None or self._written > min(self._free, self.limit / 20):
            self._free, self._written = self.limit - trim(self.folder, self.limit), 0


def trim(folder: Path, limit: int) -> int:
    """Removes the least recently used entries down to 90 % of ``limit`` bytes, if they take more than ``limit``.

    Other processes may remove files at the same time.

    Returns:
        The bytes of the remaining entries.
    """
    entries = sorted(_entries(folder))
    total = sum(size for _, size, _ in entries)
    goal = total if total <= limit else TRIM_TO * limit
    for _, size, path in entries:
        if total <= goal:
            break
        path.unlink(missing_ok=True)
        total -= size
    return total


def _entries(folder: Path) -> list[tuple[float, int, Path]]:
    """Time of last use, bytes and path of every entry; removes the partial files of killed processes."""
    entries = []
    for path in folder.glob("??/*"):
        try:
            status = path.stat()
        except FileNotFoundError:
            continue
        if path.suffix == ".safetensors":
            entries.append((status.st_mtime, status.st_size, path))
        elif path.suffix == PART and status.st_mtime < time.time() - STALE_AFTER:
            path.unlink(missing_ok=True)
    return entries


def _layer_digest(digest: Any, layer: str) -> str:
    layer_digest = digest.copy()
    layer_digest.update(layer.encode())
    name: str = layer_digest.hexdigest()
    return name


def network_sha256(network: nn.Module) -> str:
    """Hashes the network's structure and all its tensors."""
    return hashlib.sha256(f"{network!r} {tensors_sha256(network.state_dict())}".encode()).hexdigest()
