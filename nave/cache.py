"""Activations on disk: the jobs of ``-m k=3,5 layers=[-2,-1],[-1] cache=DIR`` share one pass of the encoder."""

import hashlib
import json
import os
import time
from itertools import chain
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import safetensors
import safetensors.torch
import timm
import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from nave.encoder import Encoder

GRID = "grid"  # the name of the one tensor in a file
ABANDONED = 3600.0  # seconds after which a half-written file is one of a killed process
TRIMMED = 0.9  # share of the limit that is left when it was passed


class ActivationCache:
    """Calls an encoder for batches with images that are not in ``folder`` yet, and keeps what it gives.

    An entry holds one layer of one image, so that a job finds there what earlier ones have read, in whatever company.
    Its name is a hash of all that decides the numbers: the network and its weights, the layer, the decoded image,
    preprocessing, precision, kind of device, batch size (which decides rounding), versions of torch and timm. Several
    processes may share a folder: a file appears whole or not at all.

    Args:
        folder: made if it does not exist.
        dtype: of the files; ``float16`` halves them, and rounds the activations, of the first job too.
        limit_gb: beyond it, the entries that have not been used for longest are removed.

    Raises:
        ValueError: for another dtype or a limit that is not positive.
    """

    def __init__(self, folder: str | Path, dtype: str = "float32", limit_gb: float = 50.0) -> None:
        if dtype not in ("float32", "float16"):
            raise ValueError(f"cache_dtype={dtype!r}: choose float32 or float16")
        if limit_gb <= 0:
            raise ValueError(f"cache_limit_gb={limit_gb}: must be more than 0")
        self.folder, self.dtype = Path(folder), getattr(torch, dtype)
        self.limit = int(limit_gb * 1e9)
        self._digests: WeakKeyDictionary[nn.Module, str] = WeakKeyDictionary()
        self._unseen: int | None = None  # bytes written since the folder was looked through; None: not yet
        self._room = 0

    def __call__(self, encoder: Encoder, images: UInt8[Tensor, "B 3 H W"]) -> dict[str, Float[Tensor, "B _C _h _w"]]:
        """The activations of the batch, from disk if every image is there."""
        paths = [self._paths(encoder, images, image) for image in images]
        known = {path: grid for path in chain(*paths) if (grid := self._read(path, images.device)) is not None}
        if all(path in known for path in chain(*paths)):
            layers = zip(encoder.layers, zip(*paths, strict=True), strict=True)
            return {name: torch.stack([known[path] for path in files]).float() for name, files in layers}
        grids = {name: grid.to(self.dtype) for name, grid in encoder(images).items()}
        for i, files in enumerate(paths):
            for path, grid in zip(files, grids.values(), strict=True):
                if path not in known:
                    self._write(path, grid[i].cpu().contiguous())
        return {name: grid.float() for name, grid in grids.items()}

    def _paths(self, encoder: Encoder, images: Tensor, image: UInt8[Tensor, "3 H W"]) -> list[Path]:
        """Of every layer, in their order."""
        digest = hashlib.sha256(json.dumps(self._circumstances(encoder, images)).encode())
        digest.update(image.cpu().contiguous().numpy().tobytes())
        names = [_with(digest, layer) for layer in encoder.layers]
        return [self.folder / name[:2] / f"{name}.safetensors" for name in names]

    def _circumstances(self, encoder: Encoder, images: Tensor) -> list[Any]:
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
            os.utime(path)  # used now, for those who look for what is not
        except (
            FileNotFoundError,
            NotADirectoryError,
            safetensors.SafetensorError,
        ):  # removed, or damaged: written anew
            return None
        return grid.to(device)

    def _write(self, path: Path, grid: Tensor) -> None:
        content = safetensors.torch.save({GRID: grid})
        if len(content) > self.limit:
            return
        temporary = path.with_name(f"{path.stem}.{os.getpid()}.part")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_bytes(content)
            temporary.replace(path)
        except OSError as error:
            raise OSError(
                f"the activation cache {self.folder} cannot be written ({error}): leave cache= away"
            ) from error
        self._make_room(len(content))

    def _make_room(self, written: int) -> None:
        """Looks through the folder at first, when it must be full, and now and then, for others write too."""
        self._unseen = None if self._unseen is None else self._unseen + written
        if self._unseen is None or self._unseen > min(self._room, self.limit / 20):
            self._room, self._unseen = self.limit - trim(self.folder, self.limit), 0


def trim(folder: Path, limit: int) -> int:
    """Removes what was not used for longest until the entries take 90 % of ``limit`` bytes, if they take more.

    Returns the bytes that are left. Another process may remove files at the same time.
    """
    entries = sorted(_used(folder))
    total = sum(size for _, size, _ in entries)
    goal = total if total <= limit else TRIMMED * limit
    for _, size, path in entries:
        if total <= goal:
            break
        path.unlink(missing_ok=True)
        total -= size
    return total


def _used(folder: Path) -> list[tuple[float, int, Path]]:
    """Time of the last use, bytes and path of every entry; what killed processes left is removed."""
    found = []
    for path in folder.glob("??/*"):
        try:
            status = path.stat()
        except FileNotFoundError:
            continue
        if path.suffix == ".safetensors":
            found.append((status.st_mtime, status.st_size, path))
        elif path.suffix == ".part" and status.st_mtime < time.time() - ABANDONED:
            path.unlink(missing_ok=True)
    return found


def _with(digest: "hashlib._Hash", layer: str) -> str:
    own = digest.copy()
    own.update(layer.encode())
    return own.hexdigest()


def network_sha256(network: nn.Module) -> str:
    """Of the network's structure and all its tensors."""
    digest = hashlib.sha256(repr(network).encode())
    for name, tensor in network.state_dict().items():
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
