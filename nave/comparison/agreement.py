"""How far two maps of one image agree, whatever their clusters are called."""

import numpy as np
from jaxtyping import UInt8
from scipy.optimize import linear_sum_assignment

from nave.metrics.contingency import Contingency, adjusted_rand, contingency
from nave.metrics.segmentation import pair_ious

NO_REGION = 256  # more than any id: all pixels count


def agreement(labels: UInt8[np.ndarray, "H W"], others: UInt8[np.ndarray, "_ _"]) -> dict[str, float]:
    """``ari`` (1 for equal partitions, 0 on average for random ones) and ``matched_iou`` (0 to 1).

    Raises:
        ValueError: if the maps differ in size.
    """
    counts = contingency(labels, others, ignore=NO_REGION)
    return {"ari": adjusted_rand(counts.table), "matched_iou": matched_iou(counts)}


def matched_iou(counts: Contingency) -> float:
    """Mean overlap of clusters paired one to one as well as can be; a cluster without partner counts 0."""
    ious = pair_ious(counts.table[counts.table.any(axis=1)])
    rows, columns = linear_sum_assignment(ious, maximize=True)
    return float(ious[rows, columns].sum() / max(ious.shape))
