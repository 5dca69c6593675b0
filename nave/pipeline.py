"""The steps of a run, in order: from a configuration to maps, boxes and scores in a folder."""

import logging
import time
from collections.abc import Collection, Mapping
from pathlib import Path

from lightning import Trainer
from omegaconf import DictConfig

from nave.build import build_dataset, build_explainer, build_loggers, instantiate
from nave.config import check, resolved
from nave.data.datamodule import ImageModule
from nave.data.interface import Dataset, prepare
from nave.localization.switch import OFF
from nave.loggers.interface import RunLogger, select_examples
from nave.module import Explainer
from nave.processes.distributed import StopAtOnce, is_rank_zero, leave_process_group
from nave.runs.duration import announce_large_images
from nave.runs.files import remove_temporary
from nave.runs.head import head_from_outside, prepare_head
from nave.runs.journal import Journal
from nave.runs.layout import RunFolder
from nave.runs.pictures import Artist, draw
from nave.runs.provenance import begin, device_name, of_data, of_device, of_encoder, recorded, save
from nave.runs.reader import Run, RunAtK, mean_overlaps
from nave.runs.record import Record, read_record
from nave.runs.resume import ConflictingResultsError, Current, check_same, matching_run, named, reuse_results
from nave.runs.scoring import evaluate
from nave.runs.writer import Writer
from nave.viz.progress import ImageProgress

log = logging.getLogger(__name__)


class NothingExplainedError(RuntimeError):
    """Not one image of the data set could be explained."""


def run(cfg: DictConfig, folder: RunFolder) -> Record:
    """Explains ``cfg.data`` into ``folder`` and scores what has ground truth; the record, which is run.json too.

    Images that an earlier attempt has finished there are not computed again, and a run that is complete somewhere is
    not repeated if ``skip_existing`` says so. The record lies in the folder from the start, and says how it ended.

    A logger that fails is noted in the record as ``unlogged``, and given the run again by the next attempt, which
    computes nothing then.

    Raises:
        ConflictingResultsError: if the folder holds results of another configuration, other weights, data or code.
        NothingExplainedError: if no image could be read; and what :func:`nave.build.build_explainer` raises.
    """
    before = _before(folder)
    record = begin(resolved(cfg), before)
    check_same(before, record, folder)
    if before is None:
        save(folder, record)
    loggers: dict[str, RunLogger] = {}
    try:
        with recorded(folder, record):
            check(cfg)
            loggers |= build_loggers(cfg.logger)
            dataset = build_dataset(cfg, cfg.data)
            _compute(cfg, folder, before, record, dataset)
    except ConflictingResultsError:
        raise
    except Exception:
        _log(loggers, folder, record, None)
        raise
    _log(loggers, folder, record, dataset)
    if is_rank_zero() and "unlogged" not in record:
        Journal(folder, record["ks"]).discard()
    return record


def _before(folder: RunFolder) -> Record | None:
    """The record of an earlier attempt; nothing that a folder without a readable one holds is relied on."""
    try:
        return read_record(folder)
    except ValueError as error:
        log.warning("%s: the power may have gone; everything is computed again", error)
        if is_rank_zero():
            Journal(folder, ()).discard()
        return None


def _compute(cfg: DictConfig, folder: RunFolder, before: Record | None, record: Record, dataset: Dataset) -> None:
    """From images to scores, or the results of an equal run."""
    explainer = build_explainer(cfg)
    prepare(dataset)
    trainer: Trainer = instantiate(cfg.trainer)
    record |= of_encoder(explainer.encoder) | of_data(dataset) | Record(ks=list(explainer.ks))
    record |= of_device(trainer.strategy.root_device, explainer.clustering, explainer.ks)
    outside = head_from_outside(explainer, record)
    check_same(before, record, folder)
    if cfg.skip_existing and (source := matching_run(folder, record, Path(cfg.outputs), dataset)):
        log.info("complete already: %s", source.path)
        record |= reuse_results(source, folder) | Record(training=record["training"])
        if is_rank_zero():
            _draw(cfg, folder, record, dataset)
        return
    if before and before["status"] == "ok" and "unlogged" not in before and is_rank_zero():
        Journal(folder, explainer.ks).clear()
    if before and is_rank_zero():
        remove_temporary(folder.path)
    if explainer.localization.foreground != OFF:
        explainer.to(trainer.strategy.root_device)
        images = instantiate(cfg.loader, dataset=dataset)
        explainer.foreground = prepare_head(explainer, images, folder, record, outside)
    head = explainer.foreground
    journal = Journal(folder, explainer.ks, None if head is None else head.sha256)
    explain(cfg, explainer, dataset, journal, record, trainer)
    if is_rank_zero():
        evaluate(folder)
        _draw(cfg, folder, record, dataset)


def _draw(cfg: DictConfig, folder: RunFolder, record: Record, dataset: Dataset) -> None:
    """Draws all images of a small run, else those that loggers show too: the worst, the best and random ones."""
    if not cfg.overlays:
        return
    start = time.perf_counter()
    places = [folder.at(k, record["ks"]) for k in record["ks"]]
    chosen: Collection[str] | None = None
    if record["images"] > cfg.overlays:
        overlaps = mean_overlaps([RunAtK(Run(folder, record), results, "") for results in places])
        chosen = select_examples(overlaps, cfg.overlays, cfg.seed)
    if draw(Artist(folder, dataset, cfg.photographs), places, chosen):
        record["seconds"]["pictures"] = round(time.perf_counter() - start, 3)


def explain(
    cfg: DictConfig, explainer: Explainer, dataset: Dataset, journal: Journal, record: Record, trainer: Trainer
) -> None:
    """Adds to the folder what it lacks, on all devices, and to ``record`` the figures of the work."""
    current = Current(journal, dataset, bool(cfg.concepts))
    notes = journal.read(current)
    images: ImageModule = instantiate(cfg.loader, dataset=dataset, skip=frozenset(notes.finished()))
    if changed := list(current.changed):
        log.info("computed again, as it is not what it was when it was explained: %s", named(changed))
    total = record["total"] = len(images.skip) + images.count
    ends = notes.ends if cfg.pack is not None and total >= cfg.pack else None
    writer = Writer(journal, dataset, explainer.localization, images.count, bool(cfg.concepts), ends)
    progress = ImageProgress(images.count)
    trainer.callbacks.extend([writer, progress, StopAtOnce()])  # type: ignore[attr-defined] # a list
    record["device"] = device_name(trainer.strategy.root_device, trainer.world_size)
    save(journal.folder, record)
    _announce(record, images, cfg.k, journal.folder)
    if images.count:
        if is_rank_zero():
            announce_large_images(explainer.encoder, images, trainer.strategy.root_device)
        trainer.predict(explainer, images, return_predictions=False)
    leave_process_group()
    if not is_rank_zero():
        return
    record["unreadable"] = journal.collect(total, notes)
    record["images"] = total - len(record["unreadable"])
    record["remarks"] = journal.remarks()
    for remark, count in record["remarks"].items():
        log.warning("%d of %d images of %s: %s", count, total, dataset.name, remark)
    if images.count or "seconds" not in record:
        record["images_per_second"] = round(images.count / progress.seconds, 3) if progress.seconds else 0.0
        record["seconds"] = {
            name: round(seconds, 3) for name, seconds in (explainer.stages.seconds | writer.seconds).items()
        }
    if not record["images"]:
        reasons = "; ".join(f"{image['image_id']}: {image['reason']}" for image in record["unreadable"][:3])
        raise NothingExplainedError(f"none of {total} images of {dataset.name} could be read: {reasons}")


def _log(loggers: Mapping[str, RunLogger], folder: RunFolder, record: Record, dataset: Dataset | None) -> None:
    """Gives the run to the loggers that do not know it; ``dataset`` is None where the run failed.

    Results are what they are: a failing logger is noted, and the others are given the run.
    """
    if not is_rank_zero() or not loggers:
        return
    failed = {}
    for name in [name for name in loggers if name not in record.get("logged", [])]:
        try:
            loggers[name].log(Run(folder, record), dataset)
            record["logged"] = sorted({*record.get("logged", []), name})
        except Exception as error:
            failed[name] = f"logger={name}: {error.__cause__ or error}; run again to log the results"
    if failed and dataset is not None:
        record["unlogged"] = failed
    save(folder, record)


def _announce(record: Record, images: ImageModule, k: object, folder: RunFolder) -> None:
    if not is_rank_zero():
        return
    done = f" ({len(images.skip)} more are done)" if images.skip else ""
    clusters = "without clusters" if record["ks"] == [None] else f"k={k}"
    log.info(
        "%s (training %s, %s) on %s: %d images of %s%s, %s, to %s",
        *(record["model"], record["training"], record["weights"], record["device"]),
        *(images.count, record["data"], done, clusters, folder.path),
    )
