"""How much of a component lies on objects, by the pixels of a mask."""

import numpy as np
from jaxtyping import Integer, UInt8

from nave.localization.components import Component
from nave.localization.regions import Regions
from nave.metrics.segmentation import BACKGROUND, IGNORE


def object_share(
    labels: UInt8[np.ndarray, "H W"], mask: Integer[np.ndarray, "H W"], component: Component
) -> float | None:
    """The part of a component's pixels that shows any object; None if none of them is annotated.

    Args:
        labels: the map that the component is from.
        mask: classes or objects at the map's size: 0 background, 255 ignored.
        component: a region of one cluster; within its box it is the only one of its cluster and area.
    """
    x1, y1, x2, y2 = component.box
    regions, truth = Regions.of(labels[y1:y2, x1:x2]), mask[y1:y2, x1:x2].ravel()
    own = (regions.cluster == component.cluster) & (regions.area == component.area)
    inside = np.repeat(own[regions.of_span], np.diff(regions.spans.starts)) & (truth != IGNORE)
    return float((truth[inside] != BACKGROUND).mean()) if inside.any() else None
