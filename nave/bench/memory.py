"""Peak memory of one engine, in a process of its own: ``python -m nave.bench.memory ENGINE FILE``."""

import argparse
import ctypes
import gc
import re
import resource
import subprocess
import sys
from pathlib import Path

import torch

from nave.bench.engines import ENGINES
from nave.composer import Composer

PEAK = Path("/proc/self/clear_refs")  # Linux; elsewhere the peak counts from the start of the process
FLOOR = 1.0  # MB: less cannot be told from what the allocator had left over


def peak_megabytes(engine: str, file: Path) -> float:
    """What ``engine`` adds to a process that holds the activations of one image, at its worst moment; at least 1."""
    command = [sys.executable, "-m", "nave.bench.memory", engine, str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed: {done.stderr.strip()}")
    return max(FLOOR, float(done.stdout))


def main() -> None:
    """Warms up on a small part, so that imports and compilation do not count; then looks at the whole image."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("engine", choices=sorted(ENGINES))
    parser.add_argument("file", type=Path, help="written by torch.save: activations, padded, image, centroids")
    arguments = parser.parse_args()
    saved = torch.load(arguments.file, weights_only=True)
    engine, seeds = ENGINES[arguments.engine](), torch.zeros(1, dtype=torch.int64)
    small = {name: grid[:, :16, :4, :4].contiguous() for name, grid in saved["activations"].items()}
    engine(Composer().compose(small, (56, 56), (56, 56)), 2, seeds)
    composite = Composer().compose(saved["activations"], tuple(saved["padded"]), tuple(saved["image"]))
    before = _reset_peak()
    engine(composite, saved["centroids"].shape[1], seeds, saved["centroids"])
    print(_peak() - before)


def _reset_peak() -> float:
    """The present size, from which on the peak is counted anew where the system can do so (Linux)."""
    gc.collect()
    if PEAK.exists():
        ctypes.CDLL(None).malloc_trim(0)  # what the warm-up left over would hide what is taken next
        PEAK.write_text("5")
    return _peak()


def _peak() -> float:
    """Megabytes."""
    if PEAK.exists():
        found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
        assert found is not None
        return int(found[1]) / 1e3
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6  # bytes on macOS


if __name__ == "__main__":
    main()
