"""Connected components of a label map, with their boxes and inner boxes."""

from dataclasses import dataclass
from typing import no_type_check

import numba
import numpy as np
from jaxtyping import Int64, UInt8

from nave.localization.regions import Regions

Box = tuple[int, int, int, int]  # xyxy in pixels, half-open


@dataclass(frozen=True)
class Component:
    """A 4-connected region of one cluster; boxes in pixels of the map.

    ``inner_box`` is centred on the median row and median column of the region's pixels. On each axis it extends to the
    nearer side of ``box``, so it lies inside ``box`` and shares a side with it. A median half-way between two positions
    is not rounded, and the corners are integers all the same.
    """

    cluster: int
    area: int
    box: Box
    inner_box: Box


def components(
    labels: UInt8[np.ndarray, "H W"], *, min_area: int, border: int
) -> tuple[tuple[Component, ...], Regions, Int64[np.ndarray, " n"]]:
    """Finds the 4-connected components of every cluster (NAVE, arXiv 2411.19700).

    Memory grows with the number of components times (H + W).

    Args:
        labels: the map.
        min_area: components have more pixels than this.
        border: rows and columns along every side that are removed before labelling.

    Returns:
        The components in raster order of their first pixels, all regions of the map without its border, and the
        numbers of those regions that the components are.

    Raises:
        ValueError: if ``min_area`` or ``border`` is negative.
    """
    if border < 0 or min_area < 0:
        raise ValueError(f"border={border} and min_area={min_area} must not be negative")
    height, width = labels.shape
    regions = Regions.of(labels[border : height - border, border : width - border])
    large = np.flatnonzero(regions.area > min_area)
    return describe(regions, large, border), regions, large


def describe(regions: Regions, chosen: Int64[np.ndarray, " n"], border: int = 0) -> tuple[Component, ...]:
    """Returns the chosen regions of a map as components, moved by ``border`` on both axes."""
    if not len(chosen):
        return ()
    rows, columns = regions.profiles(chosen)
    y1, y2, inner_y1, inner_y2 = _extents(rows)
    x1, x2, inner_x1, inner_x2 = _extents(columns)
    boxes = np.stack([x1, y1, x2, y2, inner_x1, inner_y1, inner_x2, inner_y2], axis=1) + border
    fields = zip(regions.cluster[chosen].tolist(), regions.area[chosen].tolist(), boxes.tolist(), strict=True)
    return tuple(Component(cluster, area, (*box[:4],), (*box[4:],)) for cluster, area, box in fields)


@numba.njit(cache=True, nogil=True, boundscheck=False)
@no_type_check
def _extents(profiles: Int64[np.ndarray, "n length"]) -> Int64[np.ndarray, "4 n"]:
    """Start, end, inner start and inner end of every component on one axis, half-open."""
    extents = np.empty((4, len(profiles)), np.int64)
    for number in range(len(profiles)):
        profile = profiles[number]
        area = profile.sum()
        lower, upper = (area + 1) // 2, area // 2 + 1  # their mean is the rank of the median
        start, end, centre, below = -1, 0, 1, 0
        for position in range(len(profile)):
            if profile[position] == 0:
                continue
            start, end = position if start < 0 else start, position + 1
            for rank in (lower, upper):
                centre += position if below < rank <= below + profile[position] else 0  # doubled: an integer
            below += profile[position]
        half = min(centre - 2 * start, 2 * end - centre)
        extents[:, number] = start, end, (centre - half) // 2, (centre + half) // 2
    return extents
