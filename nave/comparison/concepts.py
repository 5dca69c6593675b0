"""Concepts of single images: does a class that is there have a cluster of its own?"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float

from nave.metrics.overlap import overlaps
from nave.metrics.prediction import Prediction
from nave.metrics.segmentation import pair_ious

ANY = "any"  # the best over all objects of an image


def box_overlaps(line: Mapping[str, Any]) -> dict[str, float]:
    """For every class of the truth, the best overlap of a component's box with one of its objects' boxes.

    The truth chooses, as in the protocol `nave`: to compare encoders, not to claim detection. Empty without truth.
    """
    image = Prediction.from_line(line)
    if image.truth is None or not len(image.truth.boxes):
        return {}
    best = overlaps([image.boxes], [image.truth.boxes])[0].max(axis=0, initial=0)
    return _best_by_class(image.truth.classes, best) | {ANY: float(best.max())}


def mask_overlaps(line: Mapping[str, Any]) -> dict[str, float]:
    """For every class with a name in the image's mask, the best overlap of a cluster with its pixels.

    Empty without a mask, or where none of its classes has a name.
    """
    found = line.get("segmentation")
    if not found or not any(found["names"]):
        return {}
    best = pair_ious(np.array(found["pixels"])).max(axis=0)
    named = {name: float(overlap) for name, overlap in zip(found["names"], best, strict=True) if name}
    return named | {ANY: max(named.values())}


def _best_by_class(classes: tuple[str, ...], best: Float[np.ndarray, " M"]) -> dict[str, float]:
    found: dict[str, float] = {}
    for name, overlap in zip(classes, best.tolist(), strict=True):
        found[name] = max(found.get(name, 0.0), overlap)
    return found


def found_at(shares: Mapping[int, float], at_least: float = 50.0) -> tuple[int, ...]:
    """The K, ascending, at which a concept is found in ``at_least`` percent of its images; ``shares`` is that by K.

    All of them, not the first alone: a whole object often splits again at a larger K.
    """
    return tuple(k for k in sorted(shares) if shares[k] >= at_least)
