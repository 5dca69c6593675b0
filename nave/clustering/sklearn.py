"""The reference engine: scikit-learn's Lloyd on the materialised composite."""

import warnings
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from torch import Tensor

from nave.clustering.clusters import Clusters, check_k
from nave.clustering.seeding import initial_centroids
from nave.composite import Composite


@dataclass(frozen=True)
class ScikitLearn:
    """``sklearn.cluster.KMeans`` of every image from the same initial centroids as the factored engine.

    Memory: ``H W D`` floats an image. Arguments as in :class:`nave.clustering.factored.Factored`.
    """

    n_init: int = 1
    max_iter: int = 300
    tolerance: float = 0.0

    def __call__(
        self, composite: Composite, k: int, seeds: Int64[Tensor, " B"], init: Float[Tensor, "B K D"] | None = None
    ) -> Clusters:
        """See :class:`nave.clustering.clusters.Clustering`."""
        start = initial_centroids(composite, check_k(k), seeds, self.n_init) if init is None else init
        fits = [
            self._fit(composite.images(torch.tensor([i])).materialise()[0], start[i]) for i in range(len(start))
        ]
        device = start.device
        return Clusters(
            torch.stack([torch.from_numpy(fit.labels_) for fit in fits])
            .view(-1, *composite.size).to(device, torch.uint8),
            torch.stack([torch.from_numpy(fit.cluster_centers_) for fit in fits]).to(device),
            torch.tensor([fit.inertia_ for fit in fits], dtype=torch.float64, device=device),
            torch.tensor([fit.n_iter_ for fit in fits], device=device),
        )

    def _fit(self, X: Float[Tensor, "N D"], start: Float[Tensor, "K D"]) -> KMeans:
        engine = KMeans(len(start), init=start.cpu().numpy(), n_init=1, max_iter=self.max_iter, tol=self.tolerance)
        with warnings.catch_warnings():  # fewer distinct points than clusters: defined, not worth a warning
            warnings.simplefilter("ignore", ConvergenceWarning)
            return engine.fit(X.cpu().numpy())
