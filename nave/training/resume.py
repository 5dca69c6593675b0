"""Whether a training is finished, may go on after its last complete epoch, or starts from the beginning."""

import hashlib
import logging
from pathlib import Path
from zipfile import is_zipfile

from omegaconf import DictConfig

from nave.data.interface import Dataset
from nave.encoder.encoder import Encoder
from nave.processes.distributed import is_rank_zero
from nave.runs.layout import RunFolder
from nave.runs.provenance import note_contents
from nave.runs.record import Record, read_record
from nave.runs.resume import ConflictingResultsError, changed_images, named
from nave.training.build import build_scheme, checkpoint_path, prepared_dataset, training_data
from nave.training.data import TrainingData
from nave.training.encoder_file import is_whole_encoder
from nave.training.snapshots import suffixes
from nave.weights.schemes import encoder_path

log = logging.getLogger(__name__)


def earlier_record(folder: RunFolder) -> Record | None:
    """The record of an earlier attempt; a checkpoint without a readable one is not relied on."""
    try:
        return read_record(folder)
    except ValueError as error:
        log.warning("%s: the power may have gone; the training starts from the beginning", error)
        discard_checkpoint(folder)
        return None


def discard_checkpoint(folder: RunFolder) -> None:
    """Removes what a training is resumed from."""
    if is_rank_zero():
        checkpoint_path(folder.path).unlink(missing_ok=True)


def is_complete(cfg: DictConfig, folder: RunFolder, before: Record) -> bool:
    """Whether the encoder, its card and its snapshots lie there, whole."""
    if before["status"] != "ok" or "card" not in before:
        return False
    card = before["card"]
    names = ["", *suffixes(cfg, card["epochs"], card["steps"])]
    if not all(is_whole_encoder(encoder_path(folder.path, suffix)) for suffix in names):
        return False
    with encoder_path(folder.path).open("rb") as file:
        return bool(hashlib.file_digest(file, "sha256").hexdigest() == card["sha256"])


def may_resume(cfg: DictConfig, folder: RunFolder, data: TrainingData, images: Dataset) -> bool:
    """Whether the checkpoint is whole, and the snapshots that were taken before it, which are not taken again.

    Raises:
        ConflictingResultsError: if images or their labels have changed, naming the first.
    """
    if not is_zipfile(checkpoint_path(folder.path)):
        return False
    wanted = suffixes(cfg, max(cfg.snapshots, default=0), max(cfg.snapshot_steps, default=0))
    taken = [path for suffix in wanted if (path := encoder_path(folder.path, suffix)).exists()]
    if damaged := [path for path in taken if not is_whole_encoder(path)]:
        log.warning("%s is damaged; the training starts from the beginning", damaged[0])
        return False
    return _has_same_data(folder, data, images)


def has_same_data(cfg: DictConfig, folder: RunFolder, encoder: Encoder) -> bool:
    """Whether the images of a finished training are what they were; False if that is not known.

    Raises:
        ConflictingResultsError: if images or their labels have changed, naming the first.
    """
    images = prepared_dataset(cfg, cfg.data)
    return _has_same_data(folder, training_data(cfg, images, build_scheme(cfg, encoder)), images)


def note_images(folder: RunFolder, data: TrainingData, images: Dataset) -> None:
    """Writes what the images are read from, by which a resumed training knows them."""
    for path, dataset in _data_files(folder, data, images):
        note_contents(path, dataset)


def _has_same_data(folder: RunFolder, data: TrainingData, images: Dataset) -> bool:
    changed: list[str] = []
    for path, dataset in _data_files(folder, data, images):
        try:
            changed += changed_images(path, dataset, len(dataset))
        except ValueError as error:
            log.warning("%s; the training starts from the beginning", error)
            return False
    if changed:
        raise ConflictingResultsError(
            f"{folder.path} holds a training on other images ({named(changed)}): results are never mixed. "
            "Choose another folder (name=NAME), or delete this one"
        )
    return True


def _data_files(folder: RunFolder, data: TrainingData, images: Dataset) -> list[tuple[Path, Dataset]]:
    validation = data.validation.dataset if data.validation else images
    return [(folder.data(), images), *([(folder.data("validation"), validation)] if validation is not images else [])]
