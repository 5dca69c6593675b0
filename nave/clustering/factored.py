"""Lloyd's k-means on the composite without materialising it: exact, at the cost of the grid."""

from dataclasses import dataclass

from jaxtyping import Float, Int64
from torch import Tensor

from nave.clustering.batched import finish, iterate
from nave.clustering.batched_seeding import initial_coefficients
from nave.clustering.gram import Gram, Points
from nave.clustering.interface import Clusters
from nave.clustering.lloyd import lloyd
from nave.clustering.number import check_k
from nave.clustering.precision import full_precision
from nave.clustering.seeding import initial_centroids
from nave.composite.composite import Composite


@dataclass(frozen=True)
class Factored:
    """Exact Lloyd on the factored composite: from the same initial centroids, labels equal scikit-learn's.

    Args:
        n_init: k-means++ restarts on the grid; the best one initialises full resolution.
        tolerance: as in scikit-learn, stop once the centroids' squared movement is at most this share of the
            channels' mean variance; 0 iterates until no label changes.
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
        if composite.device.type != "cpu":
            with full_precision():
                return self._cluster_batch(composite, k, seeds, init)
        centroids = initial_centroids(composite, k, seeds, self.n_init) if init is None else init
        return lloyd(composite, centroids, self.max_iter, self.tolerance)

    def _cluster_batch(
        self, composite: Composite, k: int, seeds: Int64[Tensor, " B"], init: Float[Tensor, "B K D"] | None
    ) -> Clusters:
        gram = Gram.from_composite(composite, init)
        further = gram.further_points() if init is not None else None
        start = initial_coefficients(composite, gram, k, seeds, self.n_init) if further is None else further
        points = Points(composite, gram)
        return finish(points, *iterate(points, start, self.max_iter, self.tolerance))
