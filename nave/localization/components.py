"""Connected components of a label map, with their boxes and inner boxes (METHOD section 2)."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int, Int32, Integer

from nave.localization.regions import region_ids

Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class Component:
    """One 4-connected region of one cluster; boxes are xyxy in map pixels, half-open.

    `inner_box` is centred on the median pixel (median row and median column of the region's pixels) and
    reaches, on each axis, as far as the nearer of the region's two extents: it lies inside `box` and shares
    a side with it on each axis. A median half-way between two positions is kept as it is, so the corners are
    integers too.
    """

    cluster: int
    area: int
    box: Box
    inner_box: Box


@dataclass(frozen=True)
class Components:
    """The components of a map, in raster order of their first pixels, and the pixels of each."""

    ids: Int32[np.ndarray, "H W"]  # 0: no component; i + 1: items[i]
    items: tuple[Component, ...]

    def mask(self, index: int) -> Bool[np.ndarray, "H W"]:
        """The pixels of `items[index]`."""
        mask: Bool[np.ndarray, "H W"] = self.ids == index + 1
        return mask


def components(labels: Integer[np.ndarray, "H W"], *, min_area: int = 784, border: int = 14) -> Components:
    """Find the 4-connected components of every cluster that have more than `min_area` pixels.

    The outer `border` pixels on every side are removed before labelling, so no component enters them; a map
    that is nothing but border has no components. Negative labels belong to no cluster. Memory grows with the
    number of components times (H + W).

    Raises ValueError when `min_area` or `border` is negative.
    """
    if border < 0 or min_area < 0:
        raise ValueError(f"border={border} and min_area={min_area} must not be negative")
    height, width = labels.shape
    ids = np.zeros((height, width), np.int32)
    if min(height, width) <= 2 * border:
        return Components(ids, ())
    inside = (slice(border, height - border), slice(border, width - border))
    ids[inside] = _large_regions(labels[inside], min_area)
    return Components(ids, _describe(ids, labels))


def _large_regions(labels: Integer[np.ndarray, "h w"], min_area: int) -> Int32[np.ndarray, "h w"]:
    regions = region_ids(labels.astype(np.int32))[0] + 1
    large = np.bincount(regions.ravel()) > min_area
    large[0] = False
    ids: Int32[np.ndarray, "h w"] = np.where(large, np.cumsum(large), 0).astype(np.int32)[regions]
    return ids


def _describe(ids: Int32[np.ndarray, "H W"], labels: Integer[np.ndarray, "H W"]) -> tuple[Component, ...]:
    height, width = ids.shape
    count = int(ids.max())
    rows = _profile(ids, np.arange(height)[:, None], count)
    columns = _profile(ids, np.arange(width), count)
    y1, y2, inner_y1, inner_y2 = _extents(rows)
    x1, x2, inner_x1, inner_x2 = _extents(columns)
    first = np.argmax(ids[y1] == np.arange(1, count + 1)[:, None], axis=1)
    described = [labels[y1, first], rows.sum(axis=1), x1, y1, x2, y2, inner_x1, inner_y1, inner_x2, inner_y2]
    table = np.stack(described, axis=1).tolist()
    return tuple(Component(row[0], row[1], (*row[2:6],), (*row[6:],)) for row in table)


def _profile(
    ids: Int32[np.ndarray, "H W"], position: Int[np.ndarray, "..."], count: int
) -> Int[np.ndarray, "count length"]:
    """How many pixels every component has at each position of one axis."""
    cells = ids + position * (count + 1)
    counts = np.bincount(cells.ravel(), minlength=position.size * (count + 1))
    return counts.reshape(position.size, count + 1).T[1:]


def _extents(profile: Int[np.ndarray, "count length"]) -> tuple[Int[np.ndarray, " count"], ...]:
    """Start and end, inner start and inner end of every component on one axis, half-open."""
    below = np.cumsum(profile, axis=1)
    area = below[:, -1:]
    start = np.argmax(below > 0, axis=1)
    end = np.argmax(below == area, axis=1) + 1
    lower, upper = (area + 1) // 2, area // 2 + 1  # the ranks whose mean is the median
    centre = np.argmax(below >= lower, axis=1) + np.argmax(below >= upper, axis=1) + 1  # doubled: an integer
    half = np.minimum(centre - 2 * start, 2 * end - centre)
    return start, end, (centre - half) // 2, (centre + half) // 2
