"""What a run says of one image, as a line of predictions.jsonl."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Int, UInt8

from nave.data.photograph import Truth
from nave.localization.components import Box
from nave.metrics.contingency import contingency
from nave.metrics.segmentation import segmentation_scores
from nave.metrics.unlabelled import cluster_balance, spatial_coherence
from nave.module import Explanation


def record(explanation: Explanation, truth: Truth | None) -> dict[str, Any]:
    """One JSON object; boxes are xyxy, half-open, in pixels of the original image."""
    height, width = explanation.size
    labels = explanation.labels
    map_height, map_width = labels.shape
    k = max(len(explanation.centroids), int(labels.max()) + 1)  # a peer's map has no centroids
    scale = (width / map_width, height / map_height)
    return {
        "image_id": explanation.image_id,
        "width": width,
        "height": height,
        "k": explanation.k,
        "clusters": int(labels.max()) + 1,
        "inertia": None if explanation.inertia is None else _rounded(explanation.inertia),
        "box": _scaled(explanation.localization.box, scale),
        "components": [
            {
                "cluster": component.cluster,
                "area": round(component.area * scale[0] * scale[1]),
                "score": _rounded(score),
                "box": _scaled(component.box, scale),
                "inner_box": _scaled(component.inner_box, scale),
            }
            for component, score in explanation.localization.components
        ],
        "map": {
            "balance": _rounded(cluster_balance(labels, k)),
            "coherence": _rounded(spatial_coherence(labels)),
            "stability": None if explanation.stability is None else _rounded(explanation.stability),
        },
        "truth": None if truth is None else _truth(truth),
    }


def agreement(
    labels: UInt8[np.ndarray, "H W"],
    mask: Int[np.ndarray, "H W"],
    objects: Int[np.ndarray, "H W"] | None,
    names: Mapping[int, str],
) -> dict[str, Any]:
    """What the map shares with the masks of classes and of objects (255: unknown), all in the original's pixels.

    ``pixels`` has one row a cluster and one column for each of ``classes``, called ``names`` (None: background, and
    classes without a name); ``object_miou`` is None without objects.
    """
    counts = contingency(labels, mask)
    return segmentation_scores(labels, mask) | {
        "object_miou": None if objects is None else segmentation_scores(labels, objects)["miou"],
        "classes": counts.regions.tolist(),
        "names": [names.get(region) for region in counts.regions.tolist()],
        "pixels": counts.table.tolist(),
    }


def _truth(truth: Truth) -> dict[str, Any]:
    boxes = [[_plain(side) for side in box] for box in truth.boxes.tolist()]
    return {"boxes": boxes, "classes": list(truth.classes), "hard": list(truth.hard)}


def _scaled(box: Box, scale: tuple[float, float]) -> list[float]:
    return [_plain(round(side * scale[axis % 2], 3)) for axis, side in enumerate(box)]


def _plain(number: float) -> float:
    """Whole numbers as integers: shorter lines, the same value."""
    return int(number) if float(number).is_integer() else number


def _rounded(number: float) -> float:
    """Seven significant digits, what float32 carries."""
    return number if number == 0 or not math.isfinite(number) else float(f"{number:.7g}")
