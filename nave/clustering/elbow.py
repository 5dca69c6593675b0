"""The number of clusters chosen by the image: ``k=auto``."""

import torch
from jaxtyping import Float64, Int64
from torch import Tensor

from nave.clustering.clusters import Clustering, Clusters
from nave.composite import Composite

FEWEST, MOST = 3, 10


def cluster(engine: Clustering, composite: Composite, k: int | str, seeds: Int64[Tensor, " B"]) -> Clusters:
    """The engine's clusters for ``k``, or for every image's own K where ``k`` is ``auto``.

    Centroids of ``auto`` are filled up with zeros to the largest K; no pixel carries their ids.
    """
    if isinstance(k, int):
        return engine(composite, k, seeds)
    runs = [engine(composite, number, seeds) for number in range(FEWEST - 1, MOST + 1)]
    chosen = elbow(torch.stack([run.inertia for run in runs], dim=1))
    return _picked(runs, chosen - (FEWEST - 1))


def elbow(inertia: Float64[Tensor, "B R"]) -> Int64[Tensor, " B"]:
    """The K from 3 to 10 whose step from K - 1 takes away the largest share of the inertia (METHOD section 1).

    ``inertia`` is that of K = 2 to 10. Once nothing is left to explain, a further cluster takes away nothing.
    """
    before, after = inertia[:, :-1], inertia[:, 1:]
    negligible = 1e-9 * inertia[:, :1]
    drop = torch.where(before > negligible, (before - after) / before.clamp_min(1e-300), 0)
    return drop.argmax(1) + FEWEST


def _picked(runs: list[Clusters], run: Int64[Tensor, " B"]) -> Clusters:
    images = torch.arange(len(run), device=run.device)
    most = runs[-1].centroids.shape[1]
    padded = [torch.nn.functional.pad(one.centroids, (0, 0, 0, most - one.centroids.shape[1])) for one in runs]
    return Clusters(
        labels=torch.stack([one.labels for one in runs])[run, images],
        centroids=torch.stack(padded)[run, images],
        inertia=torch.stack([one.inertia for one in runs])[run, images],
        iterations=torch.stack([one.iterations for one in runs])[run, images],
    )
