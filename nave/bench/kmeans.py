"""K-means alone, on real activations of four ViT-S layers."""

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from nave.api import configuration
from nave.bench.engines import ENGINES, missing
from nave.bench.memory import peak_megabytes
from nave.bench.photographs import photographs
from nave.bench.timing import Figures, median_seconds, seconds
from nave.clustering.clusters import Clusters
from nave.clustering.factored import Factored
from nave.clustering.seeding import initial_centroids
from nave.composer import Composer
from nave.composite import Composite
from nave.encoder import Encoder
from nave.run import build

LAYERS = [-4, -3, -2, -1]


@dataclass(frozen=True)
class Case:
    """One image's activations and the centroids from which every engine starts."""

    activations: dict[str, Tensor]
    padded: tuple[int, int]
    image: tuple[int, int]
    centroids: Float[Tensor, "1 K D"]

    def composite(self, resolution: str = "input") -> Composite:
        """At the pixels, or on the grid alone."""
        composer = Composer(resolution="grid") if resolution == "grid" else Composer()
        return composer.compose(self.activations, self.padded, self.image)


def cases(encoder: Encoder, size: tuple[int, int], images: int, k: int) -> Iterator[Case]:
    """The activations of ``images`` photographs of ``size`` (height, width)."""
    device = next(encoder.parameters()).device
    for photograph in photographs(images, size):
        pixels = torch.from_numpy(np.array(photograph)).permute(2, 0, 1)[None].to(device)
        activations, padded = encoder(pixels), encoder.padded(size)
        centroids = initial_centroids(Composer().compose(activations, padded, size), k, torch.zeros(1).long())
        yield Case(activations, padded, size, centroids)


def kmeans(name: str, size: tuple[int, int], images: int, repeats: int, k: int = 5) -> Figures:
    """Seconds and megabytes an image of every engine under the name ``kmeans_<name>_…``, and their ratios."""
    explainer = build(configuration({"layers": LAYERS}))
    encoder = explainer.encoder.to("cuda" if torch.cuda.is_available() else "cpu")
    found = list(cases(encoder, size, images, k))
    figures: Figures = {f"kmeans_{name}_compose_seconds": _per_image(found, repeats, lambda case: case.composite())}
    figures |= _exact(name, found, repeats, k)
    figures |= _grid_only(name, found, repeats, k)
    for other in ("sklearn", "cuml"):
        if f"kmeans_{name}_{other}_seconds" in figures:
            figures |= _ratios(f"kmeans_{name}", other, figures)
    return figures


def _exact(name: str, found: list[Case], repeats: int, k: int) -> Figures:
    """scikit-learn once an image, since it takes seconds; the others by the median of their repeats."""
    figures: Figures = {}
    for engine in ENGINES:
        if reason := missing(engine):
            figures[f"kmeans_{name}_{engine}_skipped"] = reason
            continue
        times, results = zip(
            *(_run(engine, case, 1 if engine == "sklearn" else repeats) for case in found), strict=True
        )
        figures[f"kmeans_{name}_{engine}_seconds"] = sum(times) / len(found)
        if engine == "factored":
            exact = results
            steps = [int(result.iterations) for result in results]
            figures[f"kmeans_{name}_iterations"] = sum(steps) / len(steps)
        else:
            same = [float((a.labels == b.labels).double().mean()) for a, b in zip(exact, results, strict=True)]
            figures[f"kmeans_{name}_{engine}_equal_labels_share"] = sum(same) / len(same)
        if engine != "cuml":
            figures[f"kmeans_{name}_{engine}_megabytes"] = _memory(engine, found[0])
    seeding = _per_image(found, repeats, lambda case: initial_centroids(case.composite(), k, torch.zeros(1).long()))
    return figures | {f"kmeans_{name}_seeding_seconds": seeding}


def _run(engine: str, case: Case, repeats: int) -> tuple[float, Clusters]:
    composite, kept = case.composite(), list[Clusters]()

    def fit() -> None:
        kept.append(ENGINES[engine]()(composite, case.centroids.shape[1], torch.zeros(1).long(), case.centroids))

    return (seconds(fit) if repeats == 1 else median_seconds(fit, repeats)), kept[-1]


def _grid_only(name: str, found: list[Case], repeats: int, k: int) -> Figures:
    def fit(case: Case) -> Clusters:
        return Factored()(case.composite("grid"), k, torch.zeros(1).long(), case.centroids)

    return {f"kmeans_{name}_grid_only_seconds": _per_image(found, repeats, fit)}


def _per_image(found: list[Case], repeats: int, function: Callable[[Case], object]) -> float:
    return sum(median_seconds(partial(function, case), repeats) for case in found) / len(found)


def _memory(engine: str, case: Case) -> float:
    """On the CPU, whatever the rest is measured on."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "case.pt")
        on_cpu = {name: grid.cpu() for name, grid in case.activations.items()}
        torch.save(vars(case) | {"activations": on_cpu, "centroids": case.centroids.cpu()}, file)
        return peak_megabytes(engine, file)


def _ratios(prefix: str, other: str, figures: Figures) -> Figures:
    def ratio(unit: str) -> float:
        return float(figures[f"{prefix}_{other}_{unit}"]) / float(figures[f"{prefix}_factored_{unit}"])

    ratios: Figures = {f"{prefix}_{other}_over_factored": ratio("seconds")}
    if f"{prefix}_{other}_megabytes" in figures:
        ratios[f"{prefix}_memory_{other}_over_factored"] = ratio("megabytes")
    return ratios
