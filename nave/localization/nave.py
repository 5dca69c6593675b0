"""From a map to boxes, the NAVE way: components, inner boxes, and one box chosen without ground truth."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8

from nave.localization.components import Box, Component, components
from nave.localization.one_box import objectness


@dataclass(frozen=True)
class Localization:
    """Components with their scores, best first, and the chosen box; all in pixels of the map."""

    components: tuple[tuple[Component, float], ...]
    box: Box


@dataclass(frozen=True)
class ComponentLocalizer:
    """Components are objects to be ranked; the first one's box is the box of the image (METHOD sections 2 and 3).

    Args:
        min_area: components must have more pixels than this.
        border: pixels at the map's rim that belong to no component (the first author ignores 14).
        sigma: deviation of the centred Gaussian, in shares of the image's sides.
        border_penalty: weight of a component's share of the rim.
    """

    min_area: int = 784
    border: int = 14
    sigma: float = 0.25
    border_penalty: float = 2.0

    def __call__(self, labels: UInt8[np.ndarray, "H W"]) -> Localization:
        """Boxes of one map. Where no component is large enough, the whole image is the box."""
        found = components(labels, min_area=self.min_area, border=self.border)
        scores = objectness(found.ids, len(found.items), sigma=self.sigma, border_penalty=self.border_penalty)
        order = np.argsort(-scores, kind="stable")
        ranked = tuple((found.items[i], float(scores[i])) for i in order)
        whole = (0, 0, labels.shape[1], labels.shape[0])
        return Localization(ranked, ranked[0][0].box if ranked else whole)
