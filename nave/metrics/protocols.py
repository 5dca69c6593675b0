"""The box protocols: NAVE's upper bound and CorLoc with Wilson's interval, AP50 and AR@100 with the bootstrap's."""

from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool

from nave.data.interface import GroundTruth
from nave.metrics.average_precision import Matches, Ranking, matches, ranking
from nave.metrics.bootstrap import Counts, Score, mean, per_resample, proportion, score
from nave.metrics.prediction import Prediction, chunks, overlaps, truth_of, with_objects, with_truth


def nave_hits(images: Sequence[Prediction], *, iou: float = 0.5, inner: bool = True) -> Bool[np.ndarray, " N"]:
    """Returns whether a component hits an object in each image (NAVE, arXiv 2411.19700).

    The ground truth chooses the component, so this is an upper bound. No component or no object is a miss.

    Args:
        images: with known ground truth.
        inner: choose the pair of component and object with the largest overlap of the *inner* box (the first at a tie,
            by component, then by object) and score the component's full box; otherwise choose by the full box too.
    """
    return np.array([component is not None for component in hitting_components(images, iou=iou, inner=inner)], bool)


def hitting_components(images: Sequence[Prediction], *, iou: float = 0.5, inner: bool = True) -> list[int | None]:
    """Returns the component of each image that :func:`nave_hits` counts as a hit; None for a miss."""
    truths = [truth_of(image).boxes for image in images]
    full = overlaps([image.boxes for image in images], truths)
    criteria = overlaps([image.inner_boxes for image in images], truths) if inner else full
    best = [int(np.argmax(criterion)) if criterion.size else None for criterion in criteria]
    return [
        None if place is None or scored.flat[place] < iou else place // scored.shape[1]
        for scored, place in zip(full, best, strict=True)
    ]


def nave_on_object(
    images: Iterable[Prediction], *, iou: float = 0.5, hard: bool = True, inner: bool = True
) -> Score | None:
    """Computes the share of the hits of ``nave`` whose component is mostly object, by the pixels of the mask.

    The box of a region that shows no object can fit an object by accident. The arguments are those of :func:`scores`.

    Returns:
        The share over the images with a mask that are hit; None if no image has a mask.
    """
    known, shares = False, array("d")
    for chunk in chunks(images):
        masked = [one for one in with_objects(with_truth(chunk, hard=hard)) if one.on_object is not None]
        known |= bool(masked)
        for image, hit in zip(masked, hitting_components(masked, iou=iou, inner=inner), strict=True):
            if hit is not None and image.on_object is not None and not np.isnan(image.on_object[hit]):
                shares.append(image.on_object[hit])
    return proportion(np.array(shares) > HALF) if known else None


HALF = 0.5  # part of a component's pixels beyond which it is mostly object
NO_BOX = np.empty((0, 4))
SMALL, LARGE = 32**2, 96**2  # COCO's areas in square pixels; a boundary belongs to the larger size


def corloc_hits(images: Sequence[Prediction], *, iou: float = 0.5) -> Bool[np.ndarray, " N"]:
    """Returns whether the one box overlaps any object of each image by at least ``iou``; no box is a miss."""
    return np.array([objects.any() for objects in _hit_objects(images, iou)], bool)


def corloc_per_class(images: Iterable[Prediction], *, iou: float = 0.5, hard: bool = True) -> dict[str, Score]:
    """Computes CorLoc of every class over its images: the one box must hit an object *of that class*."""
    return _per_group(images, _by_class, iou=iou, hard=hard)


def corloc_per_size(images: Iterable[Prediction], *, iou: float = 0.5, hard: bool = True) -> dict[str, Score]:
    """Computes CorLoc of ``small``, ``medium`` and ``large`` objects, by the area of the box as in COCO."""
    return _per_group(images, _by_size, iou=iou, hard=hard)


def _per_group(
    images: Iterable[Prediction],
    group: Callable[[GroundTruth], Mapping[str, Bool[np.ndarray, " M"]]],
    *,
    iou: float,
    hard: bool,
) -> dict[str, Score]:
    hits: dict[str, list[bool]] = {}
    for chunk in chunks(images):
        counted = with_objects(with_truth(chunk, hard=hard))
        for image, objects in zip(counted, _hit_objects(counted, iou), strict=True):
            for name, members in group(truth_of(image)).items():
                hits.setdefault(name, []).append(bool(objects[members].any()))
    return {name: proportion(np.array(hits[name])) for name in sorted(hits)}


def _hit_objects(images: Sequence[Prediction], iou: float) -> list[Bool[np.ndarray, " M"]]:
    """Returns which objects the one box of each image hits."""
    boxes = [NO_BOX if image.box is None else image.box[None] for image in images]
    ious = overlaps(boxes, [truth_of(image).boxes for image in images])
    return [np.asarray((overlap >= iou).any(axis=0)) for overlap in ious]


def _by_class(truth: GroundTruth) -> dict[str, Bool[np.ndarray, " M"]]:
    names = np.array(truth.classes)
    return {name: names == name for name in set(truth.classes)}


def _by_size(truth: GroundTruth) -> dict[str, Bool[np.ndarray, " M"]]:
    areas = np.prod(truth.boxes[:, 2:] - truth.boxes[:, :2], axis=1)
    size = np.digitize(areas, [SMALL, LARGE])
    return {name: size == index for index, name in enumerate(("small", "medium", "large")) if (size == index).any()}


def scores(
    images: Iterable[Prediction], *, iou: float = 0.5, hard: bool = True, inner: bool = True, seed: int = 0
) -> dict[str, Score]:
    """Computes ``nave``, ``corloc``, ``ap50`` and ``ar100`` of a run, whatever the order of its images.

    Of an image are kept its id, a few numbers, and nine bytes a box. Images of unknown ground truth never count, images
    without objects only in ``ap50`` and ``ar100``.

    Args:
        iou: overlap from which on an object is hit, in ``nave`` and ``corloc``.
        hard: False leaves out difficult and truncated boxes.
        inner: see :func:`nave_hits`.

    Raises:
        ValueError: for duplicate image ids, or an ``iou`` outside (0, 1].
    """
    run = _collected(images, iou, hard, inner)
    return {
        "nave": proportion(run.nave),
        "corloc": proportion(run.corloc),
        "ap50": score(per_resample(run.ranked.average_precision), run.images, seed=seed),
        "ar100": score(per_resample(run.ranked.average_recall), run.images, seed=seed),
    }


def score_differences(
    ours: Iterable[Prediction],
    theirs: Iterable[Prediction],
    *,
    iou: float = 0.5,
    hard: bool = True,
    inner: bool = True,
    seed: int = 0,
) -> dict[str, Score]:
    """Computes ours minus theirs of the figures of :func:`scores`, in percentage points, with bootstrap intervals.

    Both are resampled together, so that what makes an image hard for both cancels out. The images are the same, in the
    same order; the options are those of :func:`scores`.
    """
    a, b = (_collected(images, iou, hard, inner) for images in (ours, theirs))

    def precision(counts: Counts) -> float:
        return a.ranked.average_precision(counts) - b.ranked.average_precision(counts)

    def recall(counts: Counts) -> float:
        return a.ranked.average_recall(counts) - b.ranked.average_recall(counts)

    return {
        "nave": score(mean(a.nave.astype(float) - b.nave), len(a.nave), seed=seed),
        "corloc": score(mean(a.corloc.astype(float) - b.corloc), len(a.corloc), seed=seed),
        "ap50": score(per_resample(precision), a.images, seed=seed),
        "ar100": score(per_resample(recall), a.images, seed=seed),
    }


class _Collected(NamedTuple):
    """What is kept of a run: hits of the images with objects, all boxes ranked, and the number of known images."""

    nave: Bool[np.ndarray, " P"]
    corloc: Bool[np.ndarray, " P"]
    ranked: Ranking
    images: int


def _collected(images: Iterable[Prediction], iou: float, hard: bool, inner: bool) -> _Collected:
    if not 0 < iou <= 1:
        raise ValueError(f"iou={iou} is not an overlap: it must be above 0 and at most 1")
    parts = [_measured(chunk, iou, hard, inner) for chunk in chunks(images)]
    _check_unique([name for part in parts for name in part.all_ids])
    ids = [name for part in parts for name in part.ids]
    order = np.array(sorted(range(len(ids)), key=ids.__getitem__), np.int64)
    return _Collected(
        nave=np.concatenate([NO_HITS, *(part.nave for part in parts)]),
        corloc=np.concatenate([NO_HITS, *(part.corloc for part in parts)]),
        ranked=ranking([part.matches for part in parts], order),
        images=len(ids),
    )


NO_HITS = np.empty(0, bool)


class _Measured(NamedTuple):
    """What is kept of some images: ids of all and of those that count, hits, matched boxes."""

    all_ids: list[str]
    ids: list[str]
    nave: Bool[np.ndarray, " P"]
    corloc: Bool[np.ndarray, " P"]
    matches: Matches


def _measured(images: Sequence[Prediction], iou: float, hard: bool, inner: bool) -> _Measured:
    known = with_truth(images, hard=hard)
    positive = with_objects(known)
    return _Measured(
        all_ids=[image.image_id for image in images],
        ids=[image.image_id for image in known],
        nave=nave_hits(positive, iou=iou, inner=inner),
        corloc=corloc_hits(positive, iou=iou),
        matches=matches(known),
    )


def _check_unique(image_ids: Sequence[str]) -> None:
    if len(set(image_ids)) < len(image_ids):
        duplicates = sorted(name for name, count in Counter(image_ids).items() if count > 1)
        raise ValueError(f"{len(duplicates)} image ids occur more than once, the first is {duplicates[0]!r}")
