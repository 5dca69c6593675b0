"""Measures, prints a table, and writes ``outputs/bench/<date_time>.json``; about four minutes on two idle cores.

Keys are flat and end in their unit; ``a_over_b`` is a's figure divided by b's, in the same run. ``kmeans_…`` is k-means
alone on four layers of a ViT-S (``seconds`` and ``megabytes`` an image, K = 5), ``end_to_end_…`` the run from decoding
to the last file written, ``share_…`` a stage's part of it.
"""

import argparse
import logging
import time
import warnings
from datetime import datetime
from pathlib import Path

import torch
from rich.table import Table

from nave import provenance
from nave.bench.end_to_end import end_to_end
from nave.bench.growth import growth
from nave.bench.kmeans import kmeans
from nave.bench.timing import Figures, seconds
from nave.results import write_json
from nave.terminal import show

MEANINGS = {
    "kmeans_native_sklearn_over_factored": "times faster than scikit-learn, 500 x 375; wanted: 50 or more",
    "kmeans_native_memory_sklearn_over_factored": "times leaner than scikit-learn, 500 x 375; wanted: 50 or more",
    "kmeans_224_sklearn_over_factored": "times faster than scikit-learn, 224 x 224",
    "kmeans_224_memory_sklearn_over_factored": "times leaner than scikit-learn, 224 x 224",
    "end_to_end_over_encoder_224": "the run's images per second over the bare encoder's; wanted: 0.85 or more",
    "end_to_end_over_encoder_native": "the same at 500 x 375; wanted: 0.80 or more",
}
NATIVE = (375, 500)


def measure(images: int, repeats: int, with_growth: bool) -> Figures:
    """All figures; every key says its unit, and ratios ``a_over_b`` are a's figure divided by b's."""
    on_gpu = torch.cuda.is_available()
    figures: Figures = {"numba_first_call_seconds": seconds(_first_call)}
    figures |= kmeans("native", NATIVE, images, repeats)
    figures |= kmeans("224", (224, 224), images, repeats)
    figures |= end_to_end("224", NATIVE, 8 * images, 64 if on_gpu else 8, repeats, image_size=224)
    figures |= end_to_end("native", NATIVE, images, 8 if on_gpu else 1, repeats, image_size=None)
    return figures | (growth(repeats) if with_growth else {})


def _first_call() -> None:
    """Compiles the kernels, or reads what an earlier process has compiled."""
    from nave.clustering.factored import Factored
    from nave.composer import Composer

    composite = Composer().compose({"grid": torch.arange(32.0).view(1, 2, 4, 4)}, (8, 8), (8, 8))
    Factored()(composite, 2, torch.zeros(1).long())


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m nave.bench", description=__doc__.splitlines()[0])
    parser.add_argument("--growth", action="store_true", help="also how time grows with K, side, layers, images")
    parser.add_argument("--images", type=int, default=10, help="photographs (default: 10)")
    parser.add_argument("--repeats", type=int, default=3, help="of which the median is taken (default: 3)")
    parser.add_argument("--folder", type=Path, default=Path("outputs/bench"), help="where the figures go")
    arguments = parser.parse_args()
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", ".*does not have many workers.*")
    start = time.perf_counter()
    figures = measure(arguments.images, arguments.repeats, arguments.growth)
    device = torch.device("cuda", 0) if torch.cuda.is_available() else torch.device("cpu")
    where: Figures = {"device": provenance.device_name(device), "commit": provenance.commit() or "installed package"}
    took: Figures = {"bench_seconds": time.perf_counter() - start}
    path = arguments.folder / f"{datetime.now().astimezone():%Y-%m-%d_%H-%M-%S}.json"
    write_json(path, where | figures | took | provenance.versions())
    show(table(where | figures | took), f"written to {path}")


def table(figures: Figures) -> Table:
    """Every figure with its key, the ratios with what they mean."""
    rows = Table("figure", "value", "meaning")
    for key, value in figures.items():
        rows.add_row(key, value if isinstance(value, str) else f"{value:.4g}", MEANINGS.get(key, ""))
    return rows


if __name__ == "__main__":
    main()
