"""NAVE's localization: components of the map ranked by objectness, and one box chosen without ground truth."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from nave.clustering.interface import NumberOfClusters
from nave.localization.components import components
from nave.localization.interface import Localization, Map, PatchTokens
from nave.localization.objectness import Objectness, border_shares, one_box


@dataclass(frozen=True)
class Nave:
    """Components of the clusters, ranked by objectness, and the box of the best region.

    Args:
        min_area: components, and the region of the one box, have more pixels than this.
        border: rows and columns along every side that belong to no component; the one box may reach into them.
        sigma, border_penalty: see :class:`~nave.localization.objectness.Objectness`.
    """

    reads_tokens: ClassVar[bool] = False

    min_area: int
    border: int
    sigma: float
    border_penalty: float

    def layers(self, layers: Sequence[str]) -> list[str]:
        """Returns all of ``layers``."""
        return list(layers)

    def ks(self, ks: Sequence[NumberOfClusters]) -> tuple[NumberOfClusters, ...]:
        """Returns all of ``ks``."""
        return tuple(ks)

    def __call__(self, labels: Map, tokens: PatchTokens | None = None) -> tuple[Map, Localization]:  # noqa: ARG002
        """Returns the map unchanged and its boxes; without a region large enough, the box is the whole image."""
        objectness = Objectness(self.sigma, self.border_penalty)
        border = border_shares(labels, int(labels.max()) + 1)
        items, regions, chosen = components(labels, min_area=self.min_area, border=self.border)
        rows, columns = (axis[self.border : len(axis) - self.border] for axis in objectness.prior(labels.shape))
        central, area = regions.sums(rows, columns)[chosen], regions.area[chosen] / labels.size
        scores = objectness(central, border[regions.cluster[chosen]], area)
        ranked = tuple((items[i], float(scores[i])) for i in np.argsort(-scores, kind="stable"))
        whole = (0, 0, labels.shape[1], labels.shape[0])
        return labels, Localization(ranked, one_box(labels, border, objectness, self.min_area) or whole)
