"""How time grows with the number of clusters, the image's side, the layers and the images."""

import tempfile
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from nave.api import configuration
from nave.bench.end_to_end import full_run
from nave.bench.kmeans import LAYERS, Case, cases
from nave.bench.photographs import photographs, write
from nave.bench.timing import Figures, median_seconds
from nave.clustering.factored import Factored
from nave.composer import Composer
from nave.data.folder import Folder
from nave.run import build

SEEDS = torch.zeros(1).long()


def growth(repeats: int) -> Figures:
    """Seconds of one image (``growth_…_seconds``), and images a second of ten to a thousand."""
    return with_k(repeats) | with_side(repeats) | with_layers(repeats) | with_images()


def with_k(repeats: int, size: tuple[int, int] = (375, 500)) -> Figures:
    """Seeding and k-means of one photograph."""
    encoder = build(configuration({"layers": LAYERS})).encoder
    composite = next(cases(encoder, size, 1, 2)).composite()
    return {
        f"growth_k_{k}_clustering_seconds": median_seconds(partial(Factored(), composite, k, SEEDS), repeats)
        for k in (2, 3, 5, 10, 20, 50)
    }


def with_side(repeats: int) -> Figures:
    """Encoder and k-means of one square photograph."""
    encoder = build(configuration({})).encoder
    figures: Figures = {}
    for side in (224, 448, 672, 1024):
        case = next(cases(encoder, (side, side), 1, 5))
        pixels = torch.zeros((1, 3, side, side), dtype=torch.uint8)
        figures[f"growth_side_{side}_encoder_seconds"] = median_seconds(partial(encoder, pixels), repeats)
        figures[f"growth_side_{side}_clustering_seconds"] = _clustering(case.activations, case, repeats)
    return figures


def with_layers(repeats: int, size: tuple[int, int] = (375, 500)) -> Figures:
    """Composite, seeding and k-means on the last one to twelve layers."""
    encoder = build(configuration({"layers": list(range(12))})).encoder
    case = next(cases(encoder, size, 1, 5))
    figures: Figures = {}
    for count in (1, 2, 4, 8, 12):
        last = dict(list(case.activations.items())[-count:])
        figures[f"growth_layers_{count}_clustering_seconds"] = _clustering(last, case, repeats)
    return figures


def with_images() -> Figures:
    """The run with a small network on small images: what every image costs, however many there are."""
    small = {"model": "efficientnet_lite0", "training": "random", "image_size": 64}
    cfg = configuration(small | {"trainer.accelerator": "cpu", "loader.batch_size": 8})
    explainer, figures = build(cfg), Figures()
    for count in (10, 100, 1000):
        with tempfile.TemporaryDirectory() as folder:
            dataset = Folder(write(Path(folder, "photographs"), photographs(count, (64, 64))))
            took, _ = full_run(cfg, explainer, dataset, Path(folder, "run"))
        figures[f"growth_images_{count}_images_per_second"] = count / took
    return figures


def _clustering(activations: dict[str, Tensor], case: Case, repeats: int) -> float:
    def fit() -> None:
        Factored()(Composer().compose(activations, case.padded, case.image), 5, SEEDS)

    return median_seconds(fit, repeats)
