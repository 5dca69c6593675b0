"""K-means alone, on activations of four ViT-S layers; and how time grows with K, image size, layers and images."""

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from nave.api import configuration
from nave.bench.end_to_end import Figures, full_run, median_seconds, photographs, seconds, write
from nave.bench.memory import COMPOSER, ENGINES, peak_megabytes, unavailable
from nave.build import build_explainer
from nave.clustering.interface import Clusters
from nave.clustering.seeding import initial_centroids
from nave.composite.composite import Composite
from nave.data.folder import Folder
from nave.encoder.encoder import Encoder
from nave.encoder.hooks import Activations

LAYERS = [-4, -3, -2, -1]
SEEDS = torch.zeros(1).long()


@dataclass(frozen=True)
class Case:
    """The activations of one image, and the initial centroids for every engine."""

    activations: Activations
    centroids: Float[Tensor, "1 K D"]

    def composite(self, resolution: Literal["input", "grid"] = "input") -> Composite:
        """The composite at the pixels or on the grid."""
        return replace(COMPOSER, resolution=resolution)(self.activations)


def make_cases(encoder: Encoder, size: tuple[int, int], images: int, k: int) -> Iterator[Case]:
    """The activations of ``images`` photographs of ``size`` (height, width)."""
    device = next(encoder.parameters()).device
    for photograph in photographs(images, size):
        pixels = torch.from_numpy(np.array(photograph)).permute(2, 0, 1)[None].to(device)
        activations = encoder(pixels)
        yield Case(activations, initial_centroids(COMPOSER(activations), k, SEEDS))


def kmeans(name: str, size: tuple[int, int], images: int, repeats: int, k: int = 5) -> Figures:
    """Seconds and megabytes per image of every engine, and their ratios, under ``kmeans_<name>_…``."""
    explainer = build_explainer(configuration({"layers": LAYERS}))
    encoder = explainer.encoder.to("cuda" if torch.cuda.is_available() else "cpu")
    cases = list(make_cases(encoder, size, images, k))
    figures: Figures = {f"kmeans_{name}_compose_seconds": _per_image(cases, repeats, lambda case: case.composite())}
    figures |= _exact(name, cases, repeats, k)
    figures |= _grid_only(name, cases, repeats, k)
    for other in ("sklearn", "cuml"):
        if f"kmeans_{name}_{other}_seconds" in figures:
            figures |= _ratios(f"kmeans_{name}", other, figures)
    return figures


def _exact(name: str, cases: list[Case], repeats: int, k: int) -> Figures:
    """Measures scikit-learn once per image, since it takes seconds; the others by the median of their repeats."""
    figures: Figures = {}
    for engine in ENGINES:
        if reason := unavailable(engine):
            figures[f"kmeans_{name}_{engine}_skipped"] = reason
            continue
        count = 1 if engine == "sklearn" else repeats
        times, results = zip(*(_run(engine, case, count) for case in cases), strict=True)
        figures[f"kmeans_{name}_{engine}_seconds"] = sum(times) / len(cases)
        if engine == "factored":
            reference = results
            steps = [int(result.iterations) for result in results]
            figures[f"kmeans_{name}_iterations"] = sum(steps) / len(steps)
        else:
            equal = [float((a.labels == b.labels).double().mean()) for a, b in zip(reference, results, strict=True)]
            figures[f"kmeans_{name}_{engine}_equal_labels_share"] = sum(equal) / len(equal)
        if engine != "cuml":
            figures[f"kmeans_{name}_{engine}_megabytes"] = _memory(engine, cases[0])
    seeding = _per_image(cases, repeats, lambda case: initial_centroids(case.composite(), k, SEEDS))
    return figures | {f"kmeans_{name}_seeding_seconds": seeding}


def _run(engine: str, case: Case, repeats: int) -> tuple[float, Clusters]:
    composite, results = case.composite(), list[Clusters]()

    def fit() -> None:
        results.append(ENGINES[engine](composite, case.centroids.shape[1], SEEDS, case.centroids))

    return (seconds(fit) if repeats == 1 else median_seconds(fit, repeats)), results[-1]


def _grid_only(name: str, cases: list[Case], repeats: int, k: int) -> Figures:
    def fit(case: Case) -> Clusters:
        return ENGINES["factored"](case.composite("grid"), k, SEEDS, case.centroids)

    return {f"kmeans_{name}_grid_only_seconds": _per_image(cases, repeats, fit)}


def _per_image(cases: list[Case], repeats: int, function: Callable[[Case], object]) -> float:
    return sum(median_seconds(partial(function, case), repeats) for case in cases) / len(cases)


def _memory(engine: str, case: Case) -> float:
    """Peak megabytes on the CPU, on whichever device time is measured."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "case.pt")
        grids = {name: grid.cpu() for name, grid in case.activations.grids.items()}
        torch.save(vars(case.activations) | {"grids": grids, "centroids": case.centroids.cpu()}, file)
        return peak_megabytes(engine, file)


def _ratios(prefix: str, other: str, figures: Figures) -> Figures:
    def ratio(unit: str) -> float:
        return float(figures[f"{prefix}_{other}_{unit}"]) / float(figures[f"{prefix}_factored_{unit}"])

    ratios: Figures = {f"{prefix}_{other}_over_factored": ratio("seconds")}
    if f"{prefix}_{other}_megabytes" in figures:
        ratios[f"{prefix}_memory_{other}_over_factored"] = ratio("megabytes")
    return ratios


def growth(repeats: int) -> Figures:
    """Seconds of one image (``growth_…_seconds``), and images per second of runs over ten to a thousand images."""
    return with_k(repeats) | with_side(repeats) | with_layers(repeats) | with_images()


def with_k(repeats: int, size: tuple[int, int] = (375, 500)) -> Figures:
    """Seeding and k-means of one photograph."""
    encoder = build_explainer(configuration({"layers": LAYERS})).encoder
    composite = next(make_cases(encoder, size, 1, 2)).composite()
    return {
        f"growth_k_{k}_clustering_seconds": median_seconds(partial(ENGINES["factored"], composite, k, SEEDS), repeats)
        for k in (2, 3, 5, 10, 20, 50)
    }


def with_side(repeats: int) -> Figures:
    """Encoder and k-means of one square photograph."""
    encoder = build_explainer(configuration({})).encoder
    figures: Figures = {}
    for side in (224, 448, 672, 1024):
        case = next(make_cases(encoder, (side, side), 1, 5))
        pixels = torch.zeros((1, 3, side, side), dtype=torch.uint8)
        figures[f"growth_side_{side}_encoder_seconds"] = median_seconds(partial(encoder, pixels), repeats)
        figures[f"growth_side_{side}_clustering_seconds"] = _clustering(case.activations, repeats)
    return figures


def with_layers(repeats: int, size: tuple[int, int] = (375, 500)) -> Figures:
    """Composite, seeding and k-means on the last one to twelve layers."""
    encoder = build_explainer(configuration({"layers": list(range(12))})).encoder
    case = next(make_cases(encoder, size, 1, 5))
    figures: Figures = {}
    for count in (1, 2, 4, 8, 12):
        last = replace(case.activations, grids=dict(list(case.activations.grids.items())[-count:]))
        figures[f"growth_layers_{count}_clustering_seconds"] = _clustering(last, repeats)
    return figures


def with_images() -> Figures:
    """Runs with a small network on small images: the overhead per image."""
    small = {"model": "efficientnet_lite0", "training": "random", "image_size": 64}
    cfg = configuration(small | {"trainer.accelerator": "cpu", "loader.batch_size": 8})
    explainer, figures = build_explainer(cfg), Figures()
    for count in (10, 100, 1000):
        with tempfile.TemporaryDirectory() as folder:
            dataset = Folder(write(Path(folder, "photographs"), photographs(count, (64, 64))))
            took, _ = full_run(cfg, explainer, dataset, Path(folder, "run"))
        figures[f"growth_images_{count}_images_per_second"] = count / took
    return figures


def _clustering(activations: Activations, repeats: int) -> float:
    def fit() -> None:
        ENGINES["factored"](COMPOSER(activations), 5, SEEDS)

    return median_seconds(fit, repeats)
