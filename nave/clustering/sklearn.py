"""The reference engine: scikit-learn's Lloyd on the materialised composite."""

import warnings
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from torch import Tensor

from nave.clustering.interface import Clusters, coincident, concatenate
from nave.clustering.number import check_k
from nave.clustering.seeding import initial_centroids
from nave.composite.composite import Composite


@dataclass(frozen=True)
class ScikitLearn:
    """``sklearn.cluster.KMeans`` of every image from the same initial centroids as the factored engine.

    Clusters whose centroids coincide up to rounding count as one, under the lowest of their ids. Needs ``H W D`` floats
    per image. Options as in :class:`nave.clustering.factored.Factored`.
    """

    n_init: int
    max_iter: int
    tolerance: float

    def __call__(
        self,
        composite: Composite,
        k: int,
        seeds: Int64[Tensor, " B"],
        init: Float[Tensor, "B K D"] | None = None,
    ) -> Clusters:
        """See :class:`nave.clustering.interface.Clustering`."""
        check_k(k)
        inits = [None] * composite.batch if init is None else init[:, None]
        images = zip(composite.split(), seeds[:, None], inits, strict=True)
        return concatenate([self._cluster_image(image, k, seed, start) for image, seed, start in images])

    def _cluster_image(
        self, image: Composite, k: int, seed: Int64[Tensor, " 1"], init: Float[Tensor, "1 K D"] | None
    ) -> Clusters:
        start = initial_centroids(image, k, seed, self.n_init) if init is None else init
        X = image.materialise()[0]
        fit = self._fit(X, start[0, : len(X)])
        centroids = torch.cat([torch.from_numpy(fit.cluster_centers_).to(start), start[0, len(X) :]])[None]
        ids = coincident(centroids).to(torch.uint8).argmax(2)[0]
        return Clusters(
            ids[torch.from_numpy(fit.labels_).to(ids)].to(torch.uint8).view(1, *image.size),
            centroids,
            torch.tensor([fit.inertia_], dtype=torch.float64, device=start.device),
            torch.tensor([fit.n_iter_], device=start.device),
        )

    def _fit(self, X: Float[Tensor, "N D"], start: Float[Tensor, "k D"]) -> KMeans:
        init = start.cpu().numpy()
        engine = KMeans(len(start), init=init, n_init=1, max_iter=self.max_iter, tol=self.tolerance)
        with warnings.catch_warnings():  # fewer distinct points than clusters have a defined result
            warnings.simplefilter("ignore", ConvergenceWarning)
            return engine.fit(X.cpu().numpy())
