"""The engines that are compared, and the peak memory of one in its own process: ``python -m nave.bench.memory``."""

import argparse
import ctypes
import gc
import re
import resource
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf

from nave.clustering.interface import Clustering
from nave.composite.composer import Composer
from nave.config import CONF
from nave.encoder.hooks import Activations

PEAK = Path("/proc/self/clear_refs")  # Linux; elsewhere the peak is that of the whole process
FLOOR = 1.0  # MB: smaller peaks cannot be distinguished from memory that the allocator reuses


def _part(choice: str) -> Any:
    return instantiate(OmegaConf.load(CONF / f"{choice}.yaml"))


COMPOSER: Composer = _part("composite/nave")
# with the defaults of conf all of them stop when no label changes; they are given the same initial centroids
ENGINES: dict[str, Clustering] = {name: _part(f"clustering/{name}") for name in ("factored", "sklearn", "cuml")}


def unavailable(engine: str) -> str | None:
    """The reason why ``engine`` cannot run on this machine; None if it can."""
    if engine != "cuml":
        return None
    if not torch.cuda.is_available():
        return "no CUDA device"
    return None if find_spec("cuml") else "cuML is not installed: pip install 'nave[gpu]'"


def peak_megabytes(engine: str, file: Path) -> float:
    """The peak memory of clustering one image, at least FLOOR.

    Args:
        engine: one of ENGINES.
        file: written by ``torch.save``: the fields of the image's Activations, and ``centroids``.
    """
    command = [sys.executable, "-m", "nave.bench.memory", engine, str(file)]
    process = subprocess.run(command, capture_output=True, text=True, check=False)
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} failed: {process.stderr.strip()}")
    return max(FLOOR, float(process.stdout))


def main() -> None:
    """Prints the megabytes; a warm-up on a small part excludes imports and compilation."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("engine", choices=sorted(ENGINES))
    parser.add_argument("file", type=Path, help="written by torch.save: grids, sizes and centroids")
    arguments = parser.parse_args()
    saved = torch.load(arguments.file, weights_only=True)
    engine, seeds = ENGINES[arguments.engine], torch.zeros(1, dtype=torch.int64)
    small = {name: grid[:, :16, :4, :4].contiguous() for name, grid in saved["grids"].items()}
    engine(COMPOSER(Activations(small, (56, 56), (56, 56))), 2, seeds)
    composite = COMPOSER(Activations(saved["grids"], saved["padded_size"], saved["image_size"]))
    before = _reset_peak()
    engine(composite, saved["centroids"].shape[1], seeds, saved["centroids"])
    print(_peak() - before)


def _reset_peak() -> float:
    """Resets the peak to the current memory if the system can (Linux); returns it in megabytes."""
    gc.collect()
    if PEAK.exists():
        ctypes.CDLL(None).malloc_trim(0)  # memory that the warm-up freed would hide later allocations
        PEAK.write_text("5")
    return _peak()


def _peak() -> float:
    """The peak memory of the process in megabytes."""
    if PEAK.exists():
        peak = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
        assert peak is not None
        return int(peak[1]) / 1e3
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6  # bytes on macOS


if __name__ == "__main__":
    main()
