"""NAVE's localization: components of the map ranked by objectness, and one box chosen without ground truth."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from nave.clustering.number import NumberOfClusters
from nave.localization.components import components
from nave.localization.foreground import Foreground
from nave.localization.instances import detect
from nave.localization.interface import Localization, Map, PatchTokens
from nave.localization.objectness import Objectness, border_shares, one_box
from nave.localization.switch import switched


@dataclass(frozen=True)
class Nave:
    """Components of the clusters, ranked by objectness, and the box of the best region.

    Args:
        min_area: components, and the region of the one box, have more pixels than this.
        border: rows and columns along every side that belong to no component; the one box may reach into them.
        sigma, border_penalty: see :class:`~nave.localization.objectness.Objectness`.
        foreground: where the foreground head comes from (:mod:`~nave.localization.switch`); ``off`` is false in YAML.
    """

    reads_tokens: ClassVar[bool] = False

    min_area: int
    border: int
    sigma: float
    border_penalty: float
    foreground: str | bool

    def __post_init__(self) -> None:
        object.__setattr__(self, "foreground", switched(self.foreground))

    def layers(self, layers: Sequence[str]) -> list[str]:
        """Returns all of ``layers``."""
        return list(layers)

    def ks(self, ks: Sequence[NumberOfClusters]) -> tuple[NumberOfClusters, ...]:
        """Returns all of ``ks``."""
        return tuple(ks)

    def __call__(
        self,
        labels: Map,
        tokens: PatchTokens | None = None,  # noqa: ARG002 - the protocol's signature
        foreground: Foreground | None = None,
    ) -> tuple[Map, Localization]:
        """Returns the map unchanged and its boxes.

        With a foreground head the one box is that of the best instance. Where the head sees none, and without one, it
        is that of the best region by objectness, or the whole image if no region is large enough.
        """
        objectness = Objectness(self.sigma, self.border_penalty)
        border = border_shares(labels, int(labels.max()) + 1)
        items, regions, chosen = components(labels, min_area=self.min_area, border=self.border)
        rows, columns = (axis[self.border : len(axis) - self.border] for axis in objectness.prior(labels.shape))
        central, area = regions.sums(rows, columns)[chosen], regions.area[chosen] / labels.size
        scores = objectness(central, border[regions.cluster[chosen]], area)
        ranked = tuple((items[i], float(scores[i])) for i in np.argsort(-scores, kind="stable"))
        detections = None if foreground is None else detect(labels, foreground, self.min_area)
        if detections and detections[0][1] > 0:
            return labels, Localization(ranked, detections[0][0], detections, foreground)
        whole = (0, 0, labels.shape[1], labels.shape[0])
        box = one_box(labels, border, objectness, self.min_area) or whole
        return labels, Localization(ranked, box, detections, foreground)
