"""The foreground head of a run: ready in the package, learnt from its own images, or given as a file."""

import logging
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from nave.data.datamodule import ImageModule
from nave.localization.foreground import Card, Head, card_of
from nave.localization.switch import AUTO, CHOICES, LEARN, OFF, READY, switched
from nave.localization.teaching import FEWEST, Rule, learn, pixels_sha256, ready
from nave.module import Explainer
from nave.processes.distributed import is_rank_zero
from nave.runs.layout import RunFolder
from nave.runs.provenance import of_encoder
from nave.runs.record import ForegroundRecord, Record

log = logging.getLogger(__name__)


def head_from_outside(explainer: Explainer, record: Record) -> Head | None:
    """The head that does not depend on the images, which ``record`` identifies from now on; raises as :func:`given`."""
    if explainer.localization.foreground == OFF:
        asked = switched(record["config"].get("foreground", OFF))
        if asked not in (AUTO, OFF):
            log.info("foreground=%s has no effect: this localization takes no head", asked)
        return None
    head = given(explainer.localization.foreground, card_of(record, explainer.encoder.random_seed))
    record["foreground_sha256"] = None if head is None else head.sha256
    return head


def given(option: str, card: Card) -> Head | None:
    """The head that does not depend on the images: the ready one, or that of a file; None if there is none.

    Raises:
        ValueError: if the file is no head, or that of another encoder; if ``ready`` is asked for and none is.
    """
    if option in (OFF, LEARN):
        return None
    if option not in (AUTO, READY):
        return Head.read(Path(option)).check(card, option)
    head = ready(card)
    if head is None and option == READY:
        raise ValueError(f"foreground={READY}: none is ready for {card['model']} at {card['layer']}; choose {CHOICES}")
    return head


def head_outside_runs(explainer: Explainer) -> Head | None:
    """The head for images that belong to no run.

    Raises:
        ValueError: if ``foreground=learn``, as a run alone has the images; and as :func:`given`.
    """
    option = explainer.localization.foreground
    if option == LEARN:
        raise ValueError(f"foreground={LEARN}: only a run learns, from its images; choose another of {CHOICES}")
    encoder = explainer.encoder
    return None if option == OFF else given(option, card_of(of_encoder(encoder), encoder.random_seed))


def prepare_head(
    explainer: Explainer, images: ImageModule, folder: RunFolder, record: Record, outside: Head | None
) -> Head | None:
    """The head that judges the images of a run, which lies in its folder from now on; None: none does.

    A run that continues uses its learnt head again, as long as the images that taught it are the same. Every process
    comes to the same head by itself, whether the first one has written it yet or not.

    Args:
        explainer: on the device of the run.
        images: of the run, without any to skip.
        record: of the run, which will say where the head is from.
        outside: a head that does not depend on the images.

    Raises:
        ValueError: if ``foreground=learn`` and there are too few images.
    """
    start = time.perf_counter()
    before = _read(folder.foreground)
    option = explainer.localization.foreground
    head, source = outside, READY if option == AUTO else option
    if head is None:
        head = _learnt(explainer, images, before, card_of(record, explainer.encoder.random_seed))
        source = "none" if head is None else "learnt"
    record["foreground"] = _described(source, head)
    if is_rank_zero() and (before and before.sha256) != (head and head.sha256):
        folder.foreground.unlink(missing_ok=True)
        if head:
            head.save(folder.foreground)
    explainer.stages.add("foreground", time.perf_counter() - start)
    return head


def _learnt(explainer: Explainer, images: ImageModule, before: Head | None, card: Card) -> Head | None:
    if before and before.card["pixels_sha256"] == pixels_sha256(images):
        with suppress(ValueError):  # of another encoder
            return before.check(card, "")
    localization: Any = explainer.localization  # NAVE's: no other asks for a head
    head = learn(explainer, images, Rule.of(localization), card)
    if head is None and localization.foreground == LEARN:
        raise ValueError(f"foreground={LEARN}: fewer than {FEWEST} images to learn from; choose another of {CHOICES}")
    return head


def _described(source: str, head: Head | None) -> ForegroundRecord:
    if head is None:
        log.info("no foreground head: none is ready for this encoder, and it takes %d images to learn one", FEWEST)
        return ForegroundRecord(source=source, sha256=None, images=0)
    count = sum(len(fold) for fold in head.card["images"])
    log.info("foreground head: %s, taught by %d images", source, count)
    return ForegroundRecord(source=source, sha256=head.sha256, images=count)


def _read(path: Path) -> Head | None:
    with suppress(ValueError):  # there is none, or the power has gone while it was written
        return Head.read(path)
    return None
