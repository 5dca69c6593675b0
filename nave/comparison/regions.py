"""One region of an image, the box of a watermark for instance, against the clusters of its map."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, UInt8

from nave.metrics.contingency import contingency
from nave.metrics.segmentation import pair_ious


def box_region(box: Sequence[float], size: tuple[int, int]) -> Bool[np.ndarray, "H W"]:
    """The pixels of a box (xyxy, half-open), whole where it cuts through them.

    Raises:
        ValueError: for a box that covers no pixel of an image of ``size`` (height, width).
    """
    height, width = size
    left, top = (max(0, int(np.floor(side))) for side in box[:2])
    right, bottom = (int(np.ceil(side)) for side in box[2:])
    region = np.zeros((height, width), bool)
    region[top:bottom, left:right] = True
    if not region.any():
        raise ValueError(f"box {list(box)} covers no pixel of {height} x {width}")
    return region


def cluster_overlaps(labels: UInt8[np.ndarray, "H W"], region: Bool[np.ndarray, "H W"]) -> Float[np.ndarray, " K"]:
    """Intersection over union of every cluster with the region; 0 for ids without pixels."""
    counts = contingency(labels, region.astype(np.int64))
    overlaps: Float[np.ndarray, " K"] = pair_ious(counts.table)[:, counts.regions.tolist().index(1)]
    return overlaps
