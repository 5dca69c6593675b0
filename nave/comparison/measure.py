"""What a comparison measures on every image of one run under one K, read from the run's folder."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from nave.centroids import FOLDER, read_centroids
from nave.comparison.agreement import agreement
from nave.comparison.concepts import box_overlaps, mask_overlaps
from nave.comparison.saturation import OWN, saturation
from nave.comparison.scatter import scattered
from nave.maps import read_map

Box = Sequence[float]
Figures = dict[tuple[str, str], dict[str, float]]  # (quantity, concept) -> image_id -> figure
HIT = 0.5


def figures(folder: Path, lines: Mapping[str, dict[str, Any]], watermarks: Mapping[str, Box]) -> Figures:
    """Every figure of every image; ``watermarks`` are the boxes to look at, the run's own or another's.

    Raises:
        FileNotFoundError: if the run lost a map; ValueError for centroids that do not belong to it.
    """
    found: Figures = {}
    for image_id, line in lines.items():
        for quantity, concept, value in _of_image(folder, line, watermarks.get(image_id)):
            found.setdefault((quantity, concept), {})[image_id] = value
    return found


def agreements(folder: Path, other: Path, image_ids: Sequence[str]) -> dict[str, dict[str, float]]:
    """``ari`` and ``matched_iou`` of two runs' maps by image_id."""
    found: dict[str, dict[str, float]] = {"ari": {}, "matched_iou": {}}
    for image_id in image_ids:
        for name, value in agreement(read_map(folder, image_id), read_map(other, image_id)).items():
            found[name][image_id] = value
    return found


def _of_image(folder: Path, line: Mapping[str, Any], watermark: Box | None) -> Iterator[tuple[str, str, float]]:
    for concept, overlap in box_overlaps(line).items():
        yield from (("box_overlap", concept, overlap), ("box_found", concept, float(overlap >= HIT)))
    for concept, overlap in mask_overlaps(line).items():
        yield from (("mask_overlap", concept, overlap), ("mask_found", concept, float(overlap >= HIT)))
    labels = read_map(folder, line["image_id"])
    yield "scattered", "", scattered(labels)
    if watermark is not None:
        yield from _of_watermark(folder, line["image_id"], labels, watermark)


def _of_watermark(
    folder: Path, image_id: str, labels: UInt8[np.ndarray, "H W"], box: Box
) -> Iterator[tuple[str, str, float]]:
    kept = (folder / FOLDER).is_dir()
    found = saturation(labels, box, read_centroids(folder, image_id) if kept else None)
    yield from (("watermark_overlap", "", found.overlap), ("saturation", "", float(found.overlap >= OWN)))
    if found.inertia_share is not None:
        yield "watermark_inertia", "", found.inertia_share
