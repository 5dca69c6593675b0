"""Measures speed and memory and writes ``outputs/bench/<date_time>.json``; about seven minutes on two idle cores.

Keys end in their unit; ``a_over_b`` is the figure of a divided by that of b. ``kmeans_…`` is k-means alone on four
layers of a ViT-S (``seconds`` and ``megabytes`` per image, K = 5), ``end_to_end_…`` a run from decoding to the last
file, ``share_…`` the share of a stage in its time, ``pipeline_…`` a run whose device sleeps, and ``sweep_…`` whole
commands.
"""

import argparse
import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Table

from nave.viz.terminal import show

if TYPE_CHECKING:
    from nave.bench.end_to_end import Figures

GOALS = {  # what a ratio says, and what is wanted of it
    "kmeans_native_sklearn_over_factored": ("k-means, native: times faster than scikit-learn", "at least 50"),
    "kmeans_native_memory_sklearn_over_factored": ("the same: times less memory", "at least 50"),
    "kmeans_224_sklearn_over_factored": ("k-means at 224: times faster than scikit-learn", ""),
    "kmeans_224_memory_sklearn_over_factored": ("the same: times less memory", ""),
    "end_to_end_over_encoder_224": ("a run at 224 over its encoder alone, images/s", "at least 0.85"),
    "end_to_end_over_encoder_native": ("the same, native", "at least 0.90"),
    "sweep_three_over_one_k": ("seconds of -m k=3,5,7 over those of k=5, native", "at most 1.2"),
    "pipeline_over_bound": ("a run whose device sleeps over device or cores", "at least 0.90"),
    "main_process_cpu_milliseconds": ("ms an image of the process that feeds the device", "at most 0.4"),
    "finish_over_decode_native": ("CPU time after clustering over decoding, native", "at most 2.0"),
    "finish_without_head_over_decode_native": ("the same without a foreground head", "at most 2.0"),
}
NATIVE = (375, 500)


def measure(images: int, repeats: int, with_growth: bool) -> "Figures":
    """All figures by key; those of growth (with K, image size, layers, images) take long."""
    import torch

    from nave.bench.end_to_end import end_to_end, seconds
    from nave.bench.folded import folded
    from nave.bench.kmeans import growth, kmeans
    from nave.bench.pipeline import finishing, main_process, pipeline, reading

    on_gpu = torch.cuda.is_available()
    figures: "Figures" = {"numba_first_call_seconds": seconds(_first_call)}
    figures |= kmeans("native", NATIVE, images, repeats)
    figures |= kmeans("224", (224, 224), images, repeats)
    figures |= end_to_end("224", NATIVE, 8 * images, 64 if on_gpu else 8, repeats, image_size=224)
    figures |= end_to_end("native", NATIVE, images, 8 if on_gpu else 1, repeats, image_size=None)
    figures |= pipeline(NATIVE, 3 * images, repeats) | finishing(NATIVE, images, repeats)
    figures |= folded(NATIVE, repeats)
    figures |= reading(NATIVE, images, repeats) | main_process(NATIVE, 3 * images, repeats)
    return figures | (growth(repeats) if with_growth else {})


def _first_call() -> None:
    """Compiles the kernels, or reads them from numba's cache."""
    import torch

    from nave.bench.memory import COMPOSER, ENGINES
    from nave.encoder.hooks import Activations

    activations = Activations({"grid": torch.arange(32.0).view(1, 2, 4, 4)}, (8, 8), (8, 8))
    ENGINES["factored"](COMPOSER(activations), 2, torch.zeros(1).long())


def main() -> None:
    """Runs the command."""
    parser = argparse.ArgumentParser(prog="python -m nave.bench", description=__doc__.splitlines()[0])
    parser.add_argument("--growth", action="store_true", help="also how time grows with K, image size, layers, images")
    parser.add_argument("--images", type=int, default=10, help="photographs (default: 10)")
    parser.add_argument("--repeats", type=int, default=3, help="measurements, of which the median counts (default: 3)")
    parser.add_argument("--folder", type=Path, default=Path("outputs/bench"), help="where the figures are written")
    arguments = parser.parse_args()
    import torch  # which takes seconds that --help need not take

    from nave.command_line.job import quiet_lightning
    from nave.runs.files import write_json
    from nave.runs.provenance import commit, device_name, versions

    quiet_lightning()
    start = time.perf_counter()
    figures = measure(arguments.images, arguments.repeats, arguments.growth)
    device = torch.device("cuda", 0) if torch.cuda.is_available() else torch.device("cpu")
    provenance: "Figures" = {"device": device_name(device), "commit": commit() or "installed package"}
    duration: "Figures" = {"bench_seconds": time.perf_counter() - start}
    path = arguments.folder / f"{datetime.now().astimezone():%Y-%m-%d_%H-%M-%S}.json"
    write_json(path, provenance | figures | duration | versions())
    show(table(provenance | figures | duration), goals(figures), f"written to {path}")


def table(figures: "Figures") -> Table:
    """The figures by key."""
    rows = Table("figure", "value")
    for key, value in figures.items():
        rows.add_row(key, _text(value))
    return rows


def goals(figures: "Figures") -> Table:
    """What the ratios say, and what is wanted of them; native: 500 x 375."""
    rows = Table("K = 5, two cores; native is 500 x 375", "value", "goal")
    for key, (meaning, goal) in GOALS.items():
        if key in figures:
            rows.add_row(meaning, _text(figures[key]), goal)
    return rows


def _text(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.4g}"


if __name__ == "__main__":
    main()
