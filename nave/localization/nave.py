"""From a map to boxes, the NAVE way: components, inner boxes, and one box chosen without ground truth."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, UInt8

from nave.localization.components import Components, components
from nave.localization.localizer import Localization
from nave.localization.one_box import Objectness, one_box, rim_shares


@dataclass(frozen=True)
class ComponentLocalizer:
    """Components as the first author finds them, ranked by objectness, and one box (METHOD 2 and 3).

    Args:
        min_area: components, and the region of the one box, must have more pixels than this.
        border: pixels along the map's rim that belong to no component (the first author ignores 14); the one
            box does not lose them.
        sigma, rim_penalty: see :class:`~nave.localization.one_box.Objectness`.
    """

    min_area: int = 784
    border: int = 14
    sigma: float = 0.25
    rim_penalty: float = 2.0

    def __call__(self, labels: UInt8[np.ndarray, "H W"]) -> Localization:
        """Boxes of one map. Where no region is large enough, the whole image is the box."""
        objectness = Objectness(self.sigma, self.rim_penalty)
        found = components(labels, min_area=self.min_area, border=self.border)
        scores = _scores(found, labels, objectness)
        order = np.argsort(-scores, kind="stable")
        whole = (0, 0, labels.shape[1], labels.shape[0])
        ranked = tuple((found.items[i], float(scores[i])) for i in order)
        return Localization(ranked, one_box(labels, objectness, self.min_area) or whole)


def _scores(found: Components, labels: UInt8[np.ndarray, "H W"], objectness: Objectness) -> Float64[np.ndarray, " n"]:
    count = len(found.items) + 1
    centred = np.bincount(found.ids.ravel(), objectness.prior(labels.shape).ravel(), minlength=count)[1:]
    clusters = np.array([item.cluster for item in found.items], np.int64)
    area = np.array([item.area for item in found.items]) / labels.size
    return objectness(centred, rim_shares(labels, int(labels.max()) + 1)[clusters], area)
