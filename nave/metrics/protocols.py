"""The box protocols: NAVE's upper bound and CorLoc with Wilson's interval, AP50 and AR@100 with the bootstrap's."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float64

from nave.metrics.average_precision import Matches, Ranking, matches, ranking
from nave.metrics.bootstrap import Counts, Score, mean, per_resample, proportion, score
from nave.metrics.bootstrap import scores as resampled
from nave.metrics.prediction import Prediction, chunks, overlaps, truth_of, with_objects, with_truth


def hitting_components(images: Sequence[Prediction], *, iou: float = 0.5, inner: bool = True) -> list[int | None]:
    """Returns the component of each image that hits an object (NAVE, arXiv 2411.19700); None for a miss.

    The ground truth chooses the component, so ``nave`` is an upper bound. No component or no object is a miss.

    Args:
        images: with known ground truth.
        inner: choose the pair of component and object with the largest overlap of the *inner* box (the first at a tie,
            by component, then by object) and score the component's full box; otherwise choose by the full box too.
    """
    truths = [truth_of(image).boxes for image in images]
    full = overlaps([image.boxes for image in images], truths)
    criteria = overlaps([image.inner_boxes for image in images], truths) if inner else full
    best = [int(np.argmax(criterion)) if criterion.size else None for criterion in criteria]
    return [
        None if place is None or scored.flat[place] < iou else place // scored.shape[1]
        for scored, place in zip(full, best, strict=True)
    ]


HALF = 0.5  # part of a component's pixels beyond which it is mostly object
NO_BOX = np.empty((0, 4))


def corloc_hits(images: Sequence[Prediction], *, iou: float = 0.5) -> Bool[np.ndarray, " N"]:
    """Returns whether the one box overlaps any object of each image by at least ``iou``; no box is a miss."""
    return np.array([objects.any() for objects in hit_objects(images, iou)], bool)


def hit_objects(images: Sequence[Prediction], iou: float) -> list[Bool[np.ndarray, " M"]]:
    """Returns which objects the one box of each image hits."""
    boxes = [NO_BOX if image.box is None else image.box[None] for image in images]
    ious = overlaps(boxes, [truth_of(image).boxes for image in images])
    return [np.asarray((overlap >= iou).any(axis=0)) for overlap in ious]


def score_differences(
    ours: Iterable[Prediction],
    theirs: Iterable[Prediction],
    *,
    iou: float,
    hard: bool,
    inner: bool,
    seed: int = 0,
) -> dict[str, Score]:
    """Computes ours minus theirs of the figures of :class:`BoxTally`, in percentage points, with bootstrap intervals.

    Both are resampled together, so that what makes an image hard for both cancels out. The images are the same, in the
    same order; the options are those of :class:`BoxTally`.
    """
    a, b = (_tallied(images, iou, hard, inner).collected() for images in (ours, theirs))

    def precision(counts: Counts) -> float:
        return a.ranked.average_precision(counts) - b.ranked.average_precision(counts)

    def recall(counts: Counts) -> float:
        return a.ranked.average_recall(counts) - b.ranked.average_recall(counts)

    return {
        "nave": score(mean(a.nave.astype(float) - b.nave), len(a.nave), seed=seed),
        "corloc": score(mean(a.corloc.astype(float) - b.corloc), len(a.corloc), seed=seed),
        **resampled({"ap50": per_resample(precision), "ar100": per_resample(recall)}, a.images, seed=seed),
    }


class _Collected(NamedTuple):
    """What is kept of a run: hits of the images with objects, all boxes ranked, and the number of known images."""

    nave: Bool[np.ndarray, " P"]
    corloc: Bool[np.ndarray, " P"]
    ranked: Ranking
    images: int


def _tallied(images: Iterable[Prediction], iou: float, hard: bool, inner: bool) -> "BoxTally":
    tally = BoxTally(iou=iou, hard=hard, inner=inner)
    for chunk in chunks(images):
        tally.add(chunk)
    return tally


class BoxTally:
    """The figures of a run, ``nave``, ``corloc``, ``ap50`` and ``ar100``, whatever the order of its images.

    It takes some images at a time, and keeps of each its id, a few numbers, nine bytes a box. Images of unknown ground
    truth never count, images without objects only in ``ap50`` and ``ar100``.

    ``nave_on_object`` is there if an image has a mask: the share of the hits of ``nave``, over the images with a mask,
    whose component is mostly object by the pixels of the mask. The box of a region that shows no object can fit an
    object by accident.

    Args:
        iou: overlap from which on an object is hit, in ``nave`` and ``corloc``.
        hard: False leaves out difficult and truncated boxes.
        inner: see :func:`hitting_components`.

    Raises:
        ValueError: for an ``iou`` outside (0, 1].
    """

    def __init__(self, *, iou: float, hard: bool, inner: bool) -> None:
        if not 0 < iou <= 1:
            raise ValueError(f"iou={iou} is not an overlap: it must be above 0 and at most 1")
        self._iou, self._hard, self._inner = iou, hard, inner
        self._parts: list[_Measured] = []

    def add(self, images: Sequence[Prediction]) -> None:
        """Adds the next images."""
        self._parts.append(_measured(images, self._iou, self._hard, self._inner))

    def scores(self, *, seed: int = 0) -> dict[str, Score]:
        """The figures with their intervals; raises ValueError for duplicate image ids."""
        run = self.collected()
        precision, recall = per_resample(run.ranked.average_precision), per_resample(run.ranked.average_recall)
        return {
            "nave": proportion(run.nave),
            "corloc": proportion(run.corloc),
            **resampled({"ap50": precision, "ar100": recall}, run.images, seed=seed),
            **self._on_object(),
        }

    def _on_object(self) -> dict[str, Score]:
        if not any(part.masked for part in self._parts):
            return {}
        return {"nave_on_object": proportion(np.concatenate([part.on_object for part in self._parts]) > HALF)}

    def collected(self) -> _Collected:
        """All that is kept; raises ValueError for duplicate image ids."""
        ids = np.concatenate([NO_IDS, *(part.ids for part in self._parts)])
        order = np.argsort(ids, kind="stable")
        _check_unique(ids[order])
        known = np.concatenate([NO_HITS, *(part.known for part in self._parts)])
        return _Collected(
            nave=np.concatenate([NO_HITS, *(part.nave for part in self._parts)]),
            corloc=np.concatenate([NO_HITS, *(part.corloc for part in self._parts)]),
            ranked=ranking([part.matches for part in self._parts], (np.cumsum(known) - 1)[order[known[order]]]),
            images=int(known.sum()),
        )


NO_HITS, NO_IDS = np.empty(0, bool), np.empty(0, "S1")


class _Measured(NamedTuple):
    """What is kept of some images: ids as UTF-8, which sorts as text does, whether they count, hits, matched boxes."""

    ids: Any
    known: Bool[np.ndarray, " n"]
    nave: Bool[np.ndarray, " P"]
    corloc: Bool[np.ndarray, " P"]
    matches: Matches
    masked: bool  # whether an image with objects has a mask
    on_object: Float64[np.ndarray, " h"]  # see Prediction.on_object; of the components that hit


def _measured(images: Sequence[Prediction], iou: float, hard: bool, inner: bool) -> _Measured:
    known = with_truth(images, hard=hard)
    positive = with_objects(known)
    counted = {image.image_id for image in known}
    hitting = hitting_components(positive, iou=iou, inner=inner)
    parts = [
        image.on_object[hit]
        for image, hit in zip(positive, hitting, strict=True)
        if hit is not None and image.on_object is not None and not np.isnan(image.on_object[hit])
    ]
    return _Measured(
        ids=np.array(
            [image.image_id.encode(errors="surrogatepass") for image in images], "S"
        ),  # in the order of the text
        known=np.array([image.image_id in counted for image in images], bool),
        nave=np.array([hit is not None for hit in hitting], bool),
        corloc=corloc_hits(positive, iou=iou),
        matches=matches(known),
        masked=any(image.on_object is not None for image in positive),
        on_object=np.array(parts, np.float64),
    )


def _check_unique(ids: Any) -> None:
    """Checks sorted ids."""
    if len(repeated := np.unique(ids[1:][ids[1:] == ids[:-1]])):
        first = repeated[0].decode(errors="surrogatepass")
        raise ValueError(f"{len(repeated)} image ids occur more than once, the first is {first!r}")
