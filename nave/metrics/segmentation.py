"""Agreement of the clusters of an image with its mask of objects or classes, whatever the clusters' ids."""

from array import array
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, Integer

from nave.metrics.bootstrap import Score, mean, scores


@dataclass(frozen=True, eq=False)
class Contingency:
    """Number of valid pixels that each cluster shares with each region of the mask."""

    table: Int[np.ndarray, "K R"]
    regions: Int[np.ndarray, " R"]  # ids of the regions in the mask, ascending, without the ignored one


def contingency(
    labels: Integer[np.ndarray, "..."], truth: Integer[np.ndarray, "..."], *, ignore: int = 255
) -> Contingency:
    """Counts pixels by cluster and region, except those whose ``truth`` is ``ignore``.

    Raises:
        ValueError: if the maps differ in shape or contain negative ids.
    """
    if labels.shape != truth.shape:
        raise ValueError(f"labels are {labels.shape}, the truth is {truth.shape}: resize one map to the other")
    valid = truth != ignore
    clusters, ids = labels[valid].astype(np.int64), truth[valid].astype(np.int64)
    if clusters.size and min(clusters.min(), ids.min()) < 0:
        raise ValueError(f"negative ids: labels start at {clusters.min()}, the truth at {ids.min()}")
    present = np.bincount(ids) > 0
    columns = (np.cumsum(present) - 1)[ids]
    size = (int(clusters.max(initial=-1)) + 1, int(present.sum()))
    table = np.bincount(clusters * size[1] + columns, minlength=size[0] * size[1]).reshape(size)
    return Contingency(table, np.flatnonzero(present))


def adjusted_rand(table: Int[np.ndarray, "K R"]) -> float:
    """Computes the adjusted Rand index (Hubert and Arabie 1985): 1 for equal partitions, 0 expected by chance."""
    both, clusters, regions, pairs = (
        _pairs(counts) for counts in (table.ravel(), table.sum(axis=1), table.sum(axis=0), table.sum()[None])
    )
    possible = (clusters + regions) * pairs - 2 * clusters * regions
    return 2 * (both * pairs - clusters * regions) / possible if possible else 1.0


def normalised_mutual_information(table: Int[np.ndarray, "K R"]) -> float:
    """Computes mutual information over the mean entropy of the two partitions; 1 if both have a single region."""
    clusters, regions = _entropy(table.sum(axis=1)), _entropy(table.sum(axis=0))
    if clusters == regions == 0:
        return 1.0
    return max(0.0, 2 * (clusters + regions - _entropy(table.ravel())) / (clusters + regions))


def _pairs(counts: Int[np.ndarray, " n"]) -> int:
    # Python integers: the product of two pair counts of a large image overflows int64
    return sum(count * (count - 1) // 2 for count in counts.tolist())


def _entropy(counts: Int[np.ndarray, " n"]) -> float:
    shares: Float[np.ndarray, " n"] = counts[counts > 0] / max(int(counts.sum()), 1)
    return float(-(shares * np.log(shares)).sum())


BACKGROUND, IGNORE = 0, 255  # as in VOC's masks


def contingency_scores(counts: Contingency) -> dict[str, float | None]:
    """Computes the agreement of a map with a mask on the pixels that are counted.

    Returns:
        ``miou``, the mean over the mask's regions except background of the largest IoU with a cluster; ``ari`` and
        ``nmi`` of the partitions, including background. Between 0 and 1 (``ari`` may be negative); None if undefined:
        ``miou`` without a region, all three without a valid pixel.
    """
    if not counts.table.size:
        return {"miou": None, "ari": None, "nmi": None}
    best = best_overlaps(counts)[counts.regions != BACKGROUND]
    return {
        "miou": float(best.mean()) if len(best) else None,
        "ari": adjusted_rand(counts.table),
        "nmi": normalised_mutual_information(counts.table),
    }


def best_overlaps(counts: Contingency) -> Float[np.ndarray, " R"]:
    """Returns the largest intersection over union of every region with a cluster."""
    best: Float[np.ndarray, " R"] = pair_ious(counts.table).max(axis=0)
    return best


COUNTERPART = 0.25  # intersection over union from which clusters of two maps are taken for the same one


def pair_ious(table: Integer[np.ndarray, "K R"]) -> Float[np.ndarray, "K R"]:
    """Computes the intersection over union of every cluster and every region; 0 if both are empty."""
    union = table.sum(axis=1, keepdims=True) + table.sum(axis=0, keepdims=True) - table
    ious: Float[np.ndarray, "K R"] = table / np.maximum(union, 1)
    return ious


class Means:
    """The figures of images, which are added one by one in a fixed order, as the resamples depend on it.

    Eight bytes each.
    """

    def __init__(self) -> None:
        self._figures: dict[str, array[float]] = {}

    def add(self, image: Mapping[str, float | None]) -> None:
        """Adds the figures of the next image."""
        for name, value in image.items():
            self._figures.setdefault(name, array("d")).extend([] if value is None else [value])

    def scores(self, *, seed: int = 0) -> dict[str, Score]:
        """The mean over images of each figure, in percent, without undefined values (None)."""
        numbers = {name: len(values) for name, values in self._figures.items()}
        found = {name: score for images in {*numbers.values()} for name, score in self._of(images, seed).items()}
        return {name: found[name] for name in numbers}

    def _of(self, images: int, seed: int) -> dict[str, Score]:
        """The figures that are defined for so many images, which share their resamples."""
        known = {name: values for name, values in self._figures.items() if len(values) == images}
        return scores({name: mean(np.array(values)) for name, values in known.items()}, images, seed=seed)
