"""The default engine: cuML where the user installed it and the data is on a GPU, the factored engine elsewhere."""

import logging
from dataclasses import dataclass, field
from importlib.util import find_spec

from jaxtyping import Float, Int64
from torch import Tensor

from nave.clustering.clusters import Clustering, Clusters
from nave.clustering.cuml import Cuml
from nave.clustering.factored import Factored
from nave.composite import Composite

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Auto:
    """Chooses by device and by what is installed, and logs its choice once; arguments as in ``Factored``."""

    n_init: int = 1
    max_iter: int = 300
    tolerance: float = 0.0
    _chosen: dict[str, Clustering] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __call__(
        self, composite: Composite, k: int, seeds: Int64[Tensor, " B"], init: Float[Tensor, "B K D"] | None = None
    ) -> Clusters:
        """See :class:`nave.clustering.clusters.Clustering`."""
        device = composite.blocks[0].features.device.type
        if device not in self._chosen:
            self._chosen[device] = self._choose(device)
        return self._chosen[device](composite, k, seeds, init)

    def _choose(self, device: str) -> Clustering:
        engine = Cuml if device == "cuda" and find_spec("cuml") is not None else Factored
        log.info("clustering=auto: %s on %s", engine.__name__.lower(), device)
        return engine(self.n_init, self.max_iter, self.tolerance)
