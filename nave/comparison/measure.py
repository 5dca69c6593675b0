"""The quantities that a comparison measures on every image of a run at one K."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped, UInt8
from scipy.optimize import linear_sum_assignment

from nave.metrics.prediction import Prediction, overlaps
from nave.metrics.segmentation import COUNTERPART, Contingency, adjusted_rand, contingency, pair_ious
from nave.metrics.unlabelled import fragmentation
from nave.runs.prediction import Line
from nave.runs.reader import RunAtK


def box_region(box: Sequence[float], size: tuple[int, int]) -> Bool[np.ndarray, "H W"]:
    """The pixels that a box (xyxy, half-open) touches in an image of ``size`` (height, width).

    Raises:
        ValueError: If the box covers no pixel.
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
    """Intersection over union of every cluster with a region; 0 for ids without pixels."""
    counts = contingency(labels, region.astype(np.int64))
    overlaps: Float[np.ndarray, " K"] = pair_ious(counts.table)[:, counts.regions.tolist().index(1)]
    return overlaps


HIT = 0.5  # intersection over union from which a cluster or box counts as that of an object or a watermark


@dataclass(frozen=True)
class Saturation:
    """The cluster that overlaps a watermark most: intersection over union, share of the explained inertia."""

    overlap: float
    inertia_share: float | None  # None without centroids


def saturation(
    labels: UInt8[np.ndarray, "H W"], box: Sequence[float], centroids: Float[np.ndarray, "K D"] | None
) -> Saturation:
    """Measures how far the watermark of an image has a cluster of its own.

    Args:
        box: Box of the watermark (xyxy, half-open, pixels of the map).

    Raises:
        ValueError: If the box lies outside the image, or the centroids do not belong to the map.
    """
    overlaps = cluster_overlaps(labels, box_region(box, (labels.shape[0], labels.shape[1])))
    best = int(overlaps.argmax())
    if centroids is None:
        return Saturation(float(overlaps[best]), None)
    shares = explained_shares(centroids, np.bincount(labels.ravel(), minlength=len(overlaps)))
    return Saturation(float(overlaps[best]), float(shares[best]))


def explained_shares(centroids: Float[np.ndarray, "K D"], pixels: Int[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """Share of every cluster in the explained inertia, ``n_k |c_k - m|^2 / sum_j n_j |c_j - m|^2``.

    ``m`` is the mean of all points, ``sum_k n_k c_k / N``. By Huygens' theorem the total inertia is the sum of the
    explained inertia and the one that k-means minimises. The shares are equal if all centroids coincide.

    Raises:
        ValueError: If the numbers of centroids and clusters differ.
    """
    if len(centroids) != len(pixels):
        raise ValueError(
            f"{len(centroids)} centroids, but a map of {len(pixels)} clusters: they belong to different runs"
        )
    c, n = centroids.astype(np.float64), pixels.astype(np.float64)
    explained = n * ((c - n @ c / n.sum()) ** 2).sum(axis=1)
    total = explained.sum()
    shares: Float[np.ndarray, " n"] = explained / total if total > 0 else np.full(len(n), 1 / len(n))
    return shares


NOTHING = 256  # larger than any cluster id, so that no pixel is ignored


@dataclass(frozen=True)
class Change:
    """What became of the clusters of a map in another map of the same image.

    Attributes:
        agreement: ``ari``, the adjusted Rand index (1 for equal partitions, 0 on average for random ones);
            ``matched_iou``, see :func:`matched_iou`; ``vanished`` and ``appeared``, the shares of the clusters of the
            first and the second map without a counterpart; ``changed``, the share of pixels whose clusters are not
            counterparts.
        counterparts: Ids in both maps of the clusters with an intersection over union of COUNTERPART or more, in the
            one-to-one matching in which most pixels agree; it holds every pair above a half.
        vanished: Ids of the first map's clusters that have no counterpart.
        appeared: The same of the second map.
    """

    agreement: dict[str, float]
    counterparts: tuple[tuple[int, int], ...]
    vanished: tuple[int, ...]
    appeared: tuple[int, ...]


def change(before: UInt8[np.ndarray, "H W"], after: UInt8[np.ndarray, "_ _"]) -> Change:
    """Compares two maps of one image; raises ValueError if the maps differ in size."""
    counts = contingency(before, after, ignore=NOTHING)
    ids = np.flatnonzero(counts.table.any(axis=1))
    table, theirs = counts.table[ids], counts.regions
    ious = pair_ious(table)
    pairs = [pair for pair in _matching(table) if ious[pair] >= COUNTERPART]
    vanished = np.delete(ids, [row for row, _ in pairs])
    appeared = np.delete(theirs, [column for _, column in pairs])
    return Change(
        agreement={
            "ari": adjusted_rand(table),
            "matched_iou": matched_iou(counts),
            "vanished": len(vanished) / len(ids),
            "appeared": len(appeared) / len(theirs),
            "changed": 1 - sum(int(table[pair]) for pair in pairs) / int(table.sum()),
        },
        counterparts=tuple((int(ids[row]), int(theirs[column])) for row, column in pairs),
        vanished=tuple(vanished.tolist()),
        appeared=tuple(appeared.tolist()),
    )


def matched_iou(counts: Contingency) -> float:
    """Mean intersection over union of clusters under the best one-to-one matching; unmatched clusters count as 0."""
    ious = pair_ious(counts.table[counts.table.any(axis=1)])
    return float(sum(ious[pair] for pair in _matching(ious)) / max(ious.shape))


def _matching(gain: Shaped[np.ndarray, "K R"]) -> list[tuple[int, int]]:
    rows, columns = linear_sum_assignment(gain, maximize=True)
    return list(zip(rows.tolist(), columns.tolist(), strict=True))


ANY = "any"  # the concept for the best overlap over all objects of an image


def box_overlaps(line: Line) -> dict[str, float]:
    """Best overlap of a component's box with a true box, for every annotated class and for ``any`` object.

    Ground truth chooses the component, as in the NAVE protocol: use it to compare encoders, not as a detection score.
    Empty without annotated objects.
    """
    image = Prediction.from_line(line)
    if image.truth is None or not len(image.truth.boxes):
        return {}
    best = overlaps([image.boxes], [image.truth.boxes])[0].max(axis=0, initial=0)
    return _best_by_class(image.truth.classes, best) | {ANY: float(best.max())}


def mask_overlaps(line: Line) -> dict[str, float]:
    """Best overlap of a cluster with the pixels of a class, for every named class in the mask and for ``any``.

    Empty without a mask or named classes.
    """
    segmentation = line.get("segmentation")
    if not segmentation or not any(segmentation["names"]):
        return {}
    best = pair_ious(np.array(segmentation["pixels"])).max(axis=0)
    named = {name: float(overlap) for name, overlap in zip(segmentation["names"], best, strict=True) if name}
    return named | {ANY: max(named.values())}


def _best_by_class(classes: tuple[str, ...], best: Float[np.ndarray, " M"]) -> dict[str, float]:
    by_class: dict[str, float] = {}
    for name, overlap in zip(classes, best.tolist(), strict=True):
        by_class[name] = max(by_class.get(name, 0.0), overlap)
    return by_class


Box = Sequence[float]
Figures = dict[tuple[str, str], dict[str, float]]  # (quantity, concept) -> image_id -> figure


def figures(run: RunAtK, watermarks: Mapping[str, Box]) -> Figures:
    """Measures every quantity on every image of a run.

    Args:
        watermarks: Boxes of watermarks by image_id, of this run or of another one on the same images.

    Raises:
        FileNotFoundError: If a map is missing.
        ValueError: If the centroids do not belong to the map.
    """
    by_quantity: Figures = {}
    for image_id, line in run.lines.items():
        for quantity, concept, value in _of_image(run, line, watermarks.get(image_id)):
            by_quantity.setdefault((quantity, concept), {})[image_id] = value
    return by_quantity


def changes(run: RunAtK, other: RunAtK) -> dict[str, Change]:
    """The :class:`Change` from the maps of ``run`` to those of ``other``, by the image_id of every image of both."""
    common = [image_id for image_id in run.lines if image_id in other.lines]
    return {image_id: change(run.read_map(image_id), other.read_map(image_id)) for image_id in common}


def _of_image(run: RunAtK, line: Line, watermark: Box | None) -> Iterator[tuple[str, str, float]]:
    for concept, overlap in box_overlaps(line).items():
        yield from (("box_overlap", concept, overlap), ("box_found", concept, float(overlap >= HIT)))
    for concept, overlap in mask_overlaps(line).items():
        yield from (("mask_overlap", concept, overlap), ("mask_found", concept, float(overlap >= HIT)))
    labels = run.read_map(line["image_id"])
    yield "fragmentation", "", fragmentation(labels)
    if watermark is not None:
        yield from _of_watermark(run, line["image_id"], labels, watermark)


def _of_watermark(
    run: RunAtK, image_id: str, labels: UInt8[np.ndarray, "H W"], box: Box
) -> Iterator[tuple[str, str, float]]:
    centroids = run.results.read_centroids(image_id) if run.results.has_centroids else None
    best = saturation(labels, box, centroids)
    yield from (("watermark_overlap", "", best.overlap), ("saturation", "", float(best.overlap >= HIT)))
    if best.inertia_share is not None:
        yield "watermark_inertia", "", best.inertia_share
