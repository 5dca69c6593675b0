"""How well one image's clusters agree with its object or class mask, without naming any cluster."""

from collections.abc import Iterable, Mapping

import numpy as np
from jaxtyping import Float, Integer

from nave.metrics.bootstrap import Score, mean, score
from nave.metrics.contingency import (
    Contingency,
    adjusted_rand,
    contingency,
    normalised_mutual_information,
)

BACKGROUND, IGNORE = 0, 255  # as in VOC's masks


def segmentation_scores(
    labels: Integer[np.ndarray, "H W"], truth: Integer[np.ndarray, "H W"], *, ignore: int = IGNORE
) -> dict[str, float | None]:
    """Agreement of a map with a mask of objects or classes, between 0 and 1 (`ari` may be negative).

    `miou` is the mean over the mask's regions, background left out, of the best overlap with any one cluster;
    `ari` and `nmi` compare the whole partition, background included. All on pixels that are not `ignore`. An
    undefined figure is None: `miou` without a region, all three without a valid pixel. Raises ValueError when
    the maps differ in size.
    """
    counts = contingency(labels, truth, ignore=ignore)
    if not counts.table.size:
        return {"miou": None, "ari": None, "nmi": None}
    best = best_overlaps(counts)[counts.regions != BACKGROUND]
    return {
        "miou": float(best.mean()) if len(best) else None,
        "ari": adjusted_rand(counts.table),
        "nmi": normalised_mutual_information(counts.table),
    }


def best_overlaps(counts: Contingency) -> Float[np.ndarray, " R"]:
    """For every region of the truth, the best intersection over union with any one cluster."""
    best: Float[np.ndarray, " R"] = pair_ious(counts.table).max(axis=0)
    return best


def pair_ious(table: Integer[np.ndarray, "K R"]) -> Float[np.ndarray, "K R"]:
    """Intersection over union of every cluster with every region; 0 where both are empty."""
    union = table.sum(axis=1, keepdims=True) + table.sum(axis=0, keepdims=True) - table
    ious: Float[np.ndarray, "K R"] = table / np.maximum(union, 1)
    return ious


def mean_scores(images: Iterable[Mapping[str, float | None]], *, seed: int = 0) -> dict[str, Score]:
    """Mean over images of each figure, in percent, with its interval; None is not counted.

    Every image weighs the same. Give the images in a fixed order: the resamples depend on it.
    """
    figures: dict[str, list[float]] = {}
    for image in images:
        for name, value in image.items():
            figures.setdefault(name, []).extend([] if value is None else [value])
    return {name: score(mean(np.array(values)), len(values), seed=seed) for name, values in figures.items()}
