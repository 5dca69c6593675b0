"""Ward's agglomerative clustering on the grid: deterministic, connected, slow."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from sklearn.cluster import AgglomerativeClustering
from sklearn.feature_extraction.image import grid_to_graph
from torch import Tensor

from nave.clustering.interface import Clusters, inertia
from nave.clustering.number import check_k
from nave.clustering.sampling import grid_points
from nave.clustering.steps import stepper
from nave.composite.composite import Composite


@dataclass(frozen=True)
class Agglomerative:
    """Ward linkage of the grid's points; every point of the map is then assigned to the nearest cluster mean.

    Nothing is random: ``seeds`` have no effect.

    Args:
        connected: merge only neighbours on the grid, so that clusters of grid points are connected.
    """

    connected: bool

    def __call__(
        self, composite: Composite, k: int, seeds: Int64[Tensor, " B"], init: Float[Tensor, "B K D"] | None = None
    ) -> Clusters:
        """See :class:`nave.clustering.interface.Clustering`.

        Raises:
            ValueError: if ``init`` is given, since merging starts from single points; for ``k`` outside 1 to 255.
        """
        if init is not None:
            raise ValueError("clustering=agglomerative starts from single points and takes no initial centroids")
        grid = grid_points(composite)
        centroids = torch.stack([self._centroids(X, grid.size, check_k(k)) for X in grid.materialise()])
        step = stepper(composite)(centroids)
        return Clusters(
            step.labels,
            centroids,
            inertia(composite, centroids, step.counts, step.sums),
            torch.ones(len(seeds), dtype=torch.int64, device=centroids.device),
        )

    def _centroids(self, X: Float[Tensor, "n D"], size: tuple[int, int], k: int) -> Float[Tensor, "K D"]:
        points = X.cpu().numpy()
        graph = grid_to_graph(*size) if self.connected and len(points) > 1 else None
        if k >= len(points):
            return X[torch.arange(k).clamp_max(len(points) - 1).to(X.device)]
        labels = AgglomerativeClustering(n_clusters=k, linkage="ward", connectivity=graph).fit_predict(points)
        masks = torch.nn.functional.one_hot(torch.from_numpy(labels), k).to(X)
        return masks.T @ X / masks.sum(0)[:, None]
