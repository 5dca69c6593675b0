"""Lloyd's k-means on the composite without materialising it: exact, at the cost of the grid."""

from dataclasses import dataclass

from jaxtyping import Float, Int64
from torch import Tensor

from nave.clustering.clusters import Clusters, check_k, joined
from nave.clustering.lloyd import lloyd
from nave.clustering.seeding import initial_centroids
from nave.composite import Composite


@dataclass(frozen=True)
class Factored:
    """K-means by the factored form of METHOD section 1; labels equal scikit-learn's from the same centroids.

    Args:
        n_init: k-means++ restarts on the grid; the best one seeds full resolution.
        max_iter: Lloyd iterations at most.
        tolerance: stop once the centroids' squared movement is below this share of the channels' mean
            variance, as scikit-learn does; 0 waits until no label changes.
    """

    n_init: int = 1
    max_iter: int = 300
    tolerance: float = 0.0

    def __call__(
        self,
        composite: Composite,
        k: int,
        seeds: Int64[Tensor, " B"],
        init: Float[Tensor, "B K D"] | None = None,
    ) -> Clusters:
        """See :class:`nave.clustering.clusters.Clustering`."""
        check_k(k)
        centroids = initial_centroids(composite, k, seeds, self.n_init) if init is None else init
        if composite.device.type != "cpu":
            return lloyd(composite, centroids, self.max_iter, self.tolerance)
        # one by one: a batch gains nothing here, and an image's rounding would depend on its neighbours
        images = zip(composite.split(), centroids[:, None], strict=True)
        return joined([lloyd(one, start, self.max_iter, self.tolerance) for one, start in images])
