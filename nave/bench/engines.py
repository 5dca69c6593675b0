"""Clustering alone on the GPU: milliseconds per image over batch sizes, and the factored engine against others."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TypeVar

import numpy as np
import torch
from sklearn.metrics import adjusted_rand_score

from nave.bench.cases import Bench
from nave.bench.end_to_end import Figures, seconds
from nave.bench.memory import COMPOSER, ENGINES, unavailable
from nave.build import build_explainer
from nave.clustering.interface import Clusters
from nave.clustering.seeding import initial_centroids
from nave.composite.composite import Composite
from nave.encoder.encoder import Encoder
from nave.encoder.hooks import Activations

T = TypeVar("T")
K = 5
LAST = "[-1]"
QUICK = 0.2  # seconds: what takes no longer is repeated
COMPARED = {"cuml": 8, "sklearn": 2}  # images


def over_batch_sizes(bench: Bench, size: str, layers: str) -> Figures:
    """Composite, seeding and k-means, K = 5; ``d384``: the composite's channels."""
    activations = activations_of(bench, size, layers, max(bench.clustered))
    figures: Figures = {}
    for batch_size in bench.clustered:
        count = min(8 * batch_size, len(activations.last))
        parts = [
            replace(activations, grids={name: grid[i : i + batch_size] for name, grid in activations.grids.items()})
            for i in range(0, count, batch_size)
        ]
        key = f"{_key('clustering', size, activations)}_batch_{batch_size}"
        took, results = paced(partial(_cluster_all, parts))
        figures[f"{key}_milliseconds"] = 1e3 * took / count
        figures[f"{key}_iterations"] = float(torch.cat([result.iterations for result in results]).double().mean())
    return figures


def compared(bench: Bench, other: str, size: str, layers: str) -> Figures:
    """``other`` against the factored engine from the same centroids; milliseconds per image, without the seeding."""
    if reason := unavailable(other):
        return {f"{other}_{size}_skipped": reason}
    composite = COMPOSER(activations := activations_of(bench, size, layers, COMPARED[other]))
    start = initial_centroids(composite, K, seeds_of(composite))
    seeds = seeds_of(composite)
    own, ours = paced(lambda: ENGINES["factored"](composite, K, seeds, start))
    took, theirs = paced(lambda: ENGINES[other](composite, K, seeds, start), warm=other != "sklearn")
    key, count = _key(other, size, activations), composite.batch
    return {
        f"{key}_milliseconds": 1e3 * took / count,
        f"{key}_factored_milliseconds": 1e3 * own / count,
        f"{key}_over_factored": took / own,
        **{f"{key}_{name}": value for name, value in _agreement(ours, theirs).items()},
    }


def _agreement(ours: Clusters, theirs: Clusters) -> Figures:
    maps = [(a.flatten(), b.flatten()) for a, b in zip(*(c.labels.cpu().numpy() for c in (ours, theirs)), strict=True)]
    inertia = theirs.inertia.cpu() / ours.inertia.cpu()
    return {
        "equal_labels_share": float(np.mean([(a == b).mean() for a, b in maps])),
        "lowest_ari": min(float(adjusted_rand_score(a, b)) for a, b in maps),
        "lowest_inertia_over_factored": float(inertia.min()),
        "highest_inertia_over_factored": float(inertia.max()),
    }


def activations_of(bench: Bench, size: str, layers: str, images: int) -> Activations:
    """Of the first photographs, on the device."""
    case = bench.case(size)
    cfg = bench.configuration(*case.options, f"layers={layers}")
    encoder: Encoder = build_explainer(cfg).to(bench.device).encoder
    side = (bench.resized, bench.resized)
    photographs = [bench.dataset.image(index) for index in range(min(images, bench.images))]
    pixels = [np.array(image if size == "native" else image.resize(side)) for image in photographs]
    with torch.inference_mode():
        activations: Activations = encoder(torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2).to(bench.device))
    return activations


def paced(function: Callable[[], T], warm: bool = True) -> tuple[float, T]:
    """Seconds of a call after a warm-up, the median of five if they are short; and what it returns."""
    results = [function()] if warm else []
    times = [seconds(lambda: results.append(function()))]
    if times[0] < QUICK:
        times += [seconds(function) for _ in range(4)]
    return statistics.median(times), results[-1]


def seeds_of(composite: Composite) -> torch.Tensor:
    """One seed per image."""
    return torch.arange(composite.batch)


def _cluster_all(parts: Sequence[Activations]) -> list[Clusters]:
    composites = map(COMPOSER, parts)
    return [ENGINES["factored"](composite, K, seeds_of(composite)) for composite in composites]


def _key(what: str, size: str, activations: Activations) -> str:
    return f"{what}_{size}_d{sum(grid.shape[1] for grid in activations.grids.values())}"
