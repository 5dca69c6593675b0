"""Lloyd's k-means on the composite without materialising it: exact, at the cost of the grid."""

from dataclasses import dataclass

from jaxtyping import Float, Int64
from torch import Tensor

from nave.clustering.interface import Clusters, check_k, concatenate
from nave.clustering.lloyd import lloyd
from nave.clustering.seeding import initial_centroids
from nave.composite.composite import Composite


@dataclass(frozen=True)
class Factored:
    """Exact Lloyd on the factored composite: from the same initial centroids, labels equal scikit-learn's.

    Args:
        n_init: k-means++ restarts on the grid; the best one initialises full resolution.
        max_iter: largest number of Lloyd iterations.
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
        centroids = initial_centroids(composite, k, seeds, self.n_init) if init is None else init
        if composite.device.type != "cpu":
            return lloyd(composite, centroids, self.max_iter, self.tolerance)
        # image by image: a batch gains nothing on a CPU, and rounding would depend on the other images
        images = zip(composite.split(), centroids[:, None], strict=True)
        return concatenate([lloyd(image, start, self.max_iter, self.tolerance) for image, start in images])
