"""The pixels of components, found again in the map."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Bool, UInt8

from nave.data.input_size import height_width
from nave.localization.regions import Regions
from nave.runs.prediction import ComponentLine, Line
from nave.runs.reader import RunAtK

XYWH = tuple[float, float, float, float]


def xywh(box: list[float]) -> XYWH:
    """Left, top, width and height of a half-open box x1, y1, x2, y2."""
    return box[0], box[1], box[2] - box[0], box[3] - box[1]


def mask_box(mask: Bool[np.ndarray, "H W"]) -> tuple[int, int, int, int]:
    """The half-open box x1, y1, x2, y2 of the pixels of a mask."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def component_masks(at_k: RunAtK, line: Line) -> Iterator[tuple[ComponentLine, Bool[np.ndarray, "H W"]]]:
    """The components of one image with their pixels, at the size of the original image.

    In an image smaller than the network's input, thin components may have lost their pixels.

    Raises:
        FileNotFoundError: If the map is missing.
        ValueError: If the map is damaged, or is not that of the prediction.
    """
    labels = at_k.read_map(line["image_id"])
    height, width = height_width(at_k.run.record["config"]["image_size"]) or labels.shape
    shrunk = height > labels.shape[0] or width > labels.shape[1]
    for component in line["components"]:
        x1, y1, x2, y2 = (round(side) for side in component["box"])
        mask = np.zeros(labels.shape, bool)
        mask[y1:y2, x1:x2] = _region(labels[y1:y2, x1:x2], component)
        if not (shrunk or mask.any()):
            raise ValueError(
                f"{at_k.results.map(line['image_id'])} has no pixel of cluster {component['cluster']} in the box "
                f"{component['box']}: run the images again"
            )
        yield component, mask


def _region(labels: UInt8[np.ndarray, "h w"], component: ComponentLine) -> Bool[np.ndarray, "h w"]:
    """The pixels of a component in the map inside its box.

    It reaches all four sides; of several regions that do, and of those of a map that has lost pixels, it is the one
    closest in area.
    """
    if not labels.size:
        return np.zeros(labels.shape, bool)
    regions = Regions.of(np.ascontiguousarray(labels))
    whole = (regions.boxes == [0, 0, labels.shape[1], labels.shape[0]]).all(axis=1)
    own = regions.cluster == component["cluster"]
    candidates = np.flatnonzero(own & whole if (own & whole).any() else own)
    if not len(candidates):
        return np.zeros(labels.shape, bool)
    chosen = candidates[np.abs(regions.area[candidates] - component["area"]).argmin()]
    return np.repeat(regions.of_span == chosen, np.diff(regions.spans.starts)).reshape(labels.shape)
