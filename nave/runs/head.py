"""The foreground head of a run: given, learnt from its own images, or ready in the package."""

import logging
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from nave.data.datamodule import ImageModule
from nave.localization.foreground import Card, Head, card_of
from nave.localization.switch import AUTO, OFF
from nave.localization.teaching import FEWEST, Rule, learn, pixels_sha256, ready
from nave.module import Explainer
from nave.processes.distributed import is_rank_zero
from nave.runs.journal import Journal
from nave.runs.record import ForegroundRecord, Record

log = logging.getLogger(__name__)


def of_foreground(explainer: Explainer, record: Record) -> Record:
    """The part of the record that identifies a head from outside: that of ``foreground=FILE``, or the ready one."""
    if explainer.localization.foreground == OFF:
        return Record()
    head = given(explainer.localization.foreground, card_of(record))
    return Record(foreground_sha256=None if head is None else head.sha256)


def given(option: str, card: Card) -> Head | None:
    """The head of a file, or for ``auto`` the ready one, which do not depend on the images; None if there is none.

    Raises:
        ValueError: if the file is no head, or that of another encoder.
    """
    return ready(card) if option == AUTO else Head.read(Path(option)).check(card, option)


def prepare_head(explainer: Explainer, images: ImageModule, journal: Journal, record: Record) -> Head | None:
    """The head that judges the images of a run, which lies in its folder from now on; None: none does.

    A run that continues uses its head again, as long as the images that taught it are the same. If they are not, the
    head is another, and what the old one has judged is computed again.

    Args:
        explainer: on the device of the run.
        images: of the run, without any to skip.
        journal: of the run.
        record: of the run, which will say where the head is from.
    """
    option, card = explainer.localization.foreground, card_of(record)
    start = time.perf_counter()
    path = journal.folder.foreground
    before = _read(path)
    learnt = _learnt(explainer, images, before, card) if option == AUTO else None
    head = learnt or given(option, card)
    source = "learnt" if learnt else "none" if head is None else "ready" if option == AUTO else option
    record["foreground"] = _described(source, head)
    if is_rank_zero() and (before and before.sha256) != (head and head.sha256):
        journal.clear()
        path.unlink(missing_ok=True)
        if head:
            head.save(path)
    explainer.stages.add("foreground", time.perf_counter() - start)
    return head


def _learnt(explainer: Explainer, images: ImageModule, before: Head | None, card: Card) -> Head | None:
    if before and before.card["pixels_sha256"] == pixels_sha256(images):
        with suppress(ValueError):  # of another encoder
            return before.check(card, "")
    localization: Any = explainer.localization  # NAVE's: no other asks for a head
    return learn(explainer, images, Rule.of(localization), card)


def _described(source: str, head: Head | None) -> ForegroundRecord:
    if head is None:
        log.info("no foreground head: fewer than %d images to learn from, and none is ready for this encoder", FEWEST)
        return ForegroundRecord(source=source, sha256=None, images=0)
    count = sum(len(fold) for fold in head.card["images"])
    log.info("foreground head: %s, taught by %d images", source, count)
    return ForegroundRecord(source=source, sha256=head.sha256, images=count)


def _read(path: Path) -> Head | None:
    with suppress(ValueError):  # there is none, or the power has gone while it was written
        return Head.read(path)
    return None
