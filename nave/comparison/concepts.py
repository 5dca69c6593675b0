"""Concepts of single images: does a class that is there have a cluster of its own?"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float

from nave.metrics.overlap import overlaps
from nave.metrics.prediction import Prediction
from nave.metrics.segmentation import BACKGROUND, pair_ious

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


def mask_overlap(line: Mapping[str, Any]) -> dict[str, float]:
    """The best overlap of a cluster with the pixels of the image's class, where it shows objects of one class alone.

    Empty otherwise: masks number the classes that the truth names, and only then is it known which is which.
    """
    found, truth = line.get("segmentation"), line["truth"]
    if not found or truth is None or len(names := set(truth["classes"])) != 1:
        return {}
    columns = [column for column, region in enumerate(found["classes"]) if region != BACKGROUND]
    if len(columns) != 1:
        return {}
    best = float(pair_ious(np.array(found["pixels"]))[:, columns[0]].max())
    return {names.pop(): best, ANY: best}


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
