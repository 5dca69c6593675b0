"""The paper's own protocol, `nave` (reported there as AP@50)."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool

from nave.metrics.overlap import overlaps
from nave.metrics.prediction import Prediction
from nave.metrics.selection import truth_of


def nave_hits(images: Sequence[Prediction], *, iou: float = 0.5, inner: bool = True) -> Bool[np.ndarray, " N"]:
    """Whether any component finds any object (METHOD section 3); the truth chooses, so an upper bound.

    With `inner`, the pair of component and object is the one whose *inner* box overlaps best (the first of
    equals, by component, then by object), and the component's full box is scored on that object; without, it
    is the pair whose full box overlaps best. No component or no object is a miss.
    """
    truths = [truth_of(image).boxes for image in images]
    full = overlaps([image.boxes for image in images], truths)
    choosing = overlaps([image.inner_boxes for image in images], truths) if inner else full
    hits = [
        bool(scored.size) and scored.flat[np.argmax(chosen)] >= iou
        for scored, chosen in zip(full, choosing, strict=True)
    ]
    return np.array(hits, bool)
