"""The time of a sweep over K, which is folded into one job, against that of one K: whole commands, with start-up."""

import os
import statistics
import subprocess
import sys
import tempfile
from itertools import count
from pathlib import Path

from nave.bench.cases import VOC07
from nave.bench.end_to_end import Figures, photographs, seconds, write

IMAGES = 30
ONE, SEVERAL = ("k=5",), ("-m", "k=3,5,7")


def folded(size: tuple[int, int], repeats: int, *overrides: str) -> Figures:
    """Seconds of both commands, run alternately, and the ratio of their medians.

    On the first images of VOC 2007 under ``NAVE_DATA``, which have boxes and masks to score; else on photographs.
    """
    with tempfile.TemporaryDirectory() as folder:
        data, runs = _data(Path(folder), size), count()
        commands = [(*options, *data, *overrides) for options in (ONE, SEVERAL)]
        pairs = [
            [seconds(lambda: _run(Path(folder, str(next(runs))), *command)) for command in commands]  # noqa: B023 - called at once
            for _ in range(repeats)
        ]
    one, several = map(statistics.median, zip(*pairs, strict=True))
    return {"sweep_one_k_seconds": one, "sweep_three_k_seconds": several, "sweep_three_over_one_k": several / one}


def _data(folder: Path, size: tuple[int, int]) -> list[str]:
    if Path(os.environ.get("NAVE_DATA", ""), VOC07).is_dir():
        return ["data=voc07", f"loader.limit={IMAGES}"]
    return ["data=folder", f'data.root="{write(folder / "photographs", photographs(IMAGES, size))}"']


def _run(outputs: Path, *options: str) -> None:
    """One command in a process of its own; raises RuntimeError if it fails, with its error."""
    command = [sys.executable, "-m", "nave.run", *options, f'outputs="{outputs}"']
    process = subprocess.run(command, capture_output=True, text=True, check=False)
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} failed: {process.stderr.strip()}")
