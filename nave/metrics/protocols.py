"""The protocols of METHOD section 3 side by side, each with its 95 % interval, and two runs compared."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from nave.metrics.average_precision import average_precision
from nave.metrics.bootstrap import Score, Statistic, each, score, share
from nave.metrics.corloc import corloc_hits
from nave.metrics.nave_protocol import nave_hits
from nave.metrics.prediction import Prediction
from nave.metrics.ranking import rank
from nave.metrics.selection import with_objects, with_truth


class _Protocol(NamedTuple):
    statistic: Statistic
    images: Sequence[Prediction]


def scores(
    images: Iterable[Prediction], *, iou: float = 0.5, hard: bool = True, inner: bool = True, seed: int = 0
) -> dict[str, Score]:
    """Score a run by `nave`, `corloc`, `ap50` and `ar100`; the order of the images makes no difference.

    `iou` is the overlap that counts as a hit in `nave` and `corloc`; `hard=False` leaves out difficult and
    truncated boxes everywhere; `inner=False` lets `nave` choose its pair by full boxes. Images of unknown
    truth never count, images that hold no object only in `ap50` and `ar100`. Raises ValueError for duplicate
    image ids.
    """
    known = with_truth(_sorted(images), hard=hard)
    reported = average_precision(known) if with_objects(known) else {}
    return {
        name: score(protocol.statistic, len(protocol.images), seed=seed, value=reported.get(name))
        for name, protocol in _protocols(known, iou, inner).items()
    }


def differences(
    images: Iterable[Prediction],
    others: Iterable[Prediction],
    *,
    iou: float = 0.5,
    hard: bool = True,
    inner: bool = True,
    seed: int = 0,
) -> dict[str, Score]:
    """What `images` score above `others`, in percentage points, by a paired bootstrap over the images.

    Both runs are resampled together, so what makes an image hard for both cancels: an interval without 0 is a
    difference. Raises ValueError unless both runs count the same images.
    """
    ours = _protocols(with_truth(_sorted(images), hard=hard), iou, inner)
    theirs = _protocols(with_truth(_sorted(others), hard=hard), iou, inner)
    return {name: _difference(ours[name], theirs[name], seed) for name in ours}


def _difference(ours: _Protocol, theirs: _Protocol, seed: int) -> Score:
    ids = [{image.image_id for image in protocol.images} for protocol in (ours, theirs)]
    if unpaired := sorted(ids[0] ^ ids[1]):
        raise ValueError(
            f"{len(unpaired)} images count in one run only, the first is {unpaired[0]!r}: "
            "compare runs over the same images"
        )
    return score(lambda counts: ours.statistic(counts) - theirs.statistic(counts), len(ids[0]), seed=seed)


def _protocols(known: Sequence[Prediction], iou: float, inner: bool) -> dict[str, _Protocol]:
    if not 0 < iou <= 1:
        raise ValueError(f"iou={iou} is not an overlap: it must be above 0 and at most 1")
    holding = with_objects(known)
    ranking = rank(known)
    return {
        "nave": _Protocol(share(nave_hits(holding, iou=iou, inner=inner)), holding),
        "corloc": _Protocol(share(corloc_hits(holding, iou=iou)), holding),
        "ap50": _Protocol(each(ranking.average_precision), known),
        "ar100": _Protocol(each(ranking.average_recall), known),
    }


def _sorted(images: Iterable[Prediction]) -> list[Prediction]:
    ordered = sorted(images, key=lambda image: image.image_id)
    twice = [name for name, times in Counter(image.image_id for image in ordered).items() if times > 1]
    if twice:
        raise ValueError(f"{len(twice)} image ids occur more than once, the first is {twice[0]!r}")
    return ordered
