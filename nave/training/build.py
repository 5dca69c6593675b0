"""Builds the images, the module and the trainer of a training from its configuration."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from lightning import Trainer
from lightning.pytorch.callbacks import Callback
from omegaconf import DictConfig, OmegaConf

from nave.build import build_dataset, build_loggers, instantiate
from nave.data.interface import Dataset, Labelled, MissingDatasetError, prepare
from nave.data.seed import seed_of
from nave.encoder.encoder import Encoder
from nave.training.classifier import Labels, Targets, classes_of, indices_without, labels_of, targets
from nave.training.data import TrainingData, TrainingImages, resized, single_view
from nave.training.schemes import Scheme
from nave.training.training_module import EpochCheckpoint, EpochLog, Patience, TrainingModule, feature_width


def split(image_ids: Sequence[str], share: float) -> tuple[list[int], list[int]]:
    """Splits images into positions for training and positions for validation.

    The split depends only on the image ids, not on the seed of the training, so that trainings compare.

    Args:
        share: share of validation images; 0 for none, otherwise at least one image.

    Raises:
        ValueError: for a share outside [0, 1), or one that leaves no image for training.
    """
    if not 0 <= share < 1:
        raise ValueError(f"validation={share}: give a share from 0 to below 1, or keys of the second data set")
    count = max(1, round(share * len(image_ids))) if share else 0
    order = sorted(range(len(image_ids)), key=lambda position: seed_of(image_ids[position]))
    if count == len(order):
        raise ValueError(f"validation={share} of {len(order)} images leaves none to train on; give validation=0")
    return sorted(order[count:]), sorted(order[:count])


@dataclass(frozen=True, eq=False)
class Subset:
    """Some images of a data set; ``labels`` are those of the whole data set, None if unknown."""

    dataset: Dataset
    labels: Labels | None
    indices: Sequence[int]

    def targets(self, classes: Sequence[str]) -> Targets | None:
        """The classification targets of the images; None if their classes are unknown."""
        if self.labels is None or not isinstance(self.dataset, Labelled):
            return None
        return targets([self.labels[index] for index in self.indices], classes, self.dataset.exclusive)

    def classes(self) -> tuple[str, ...]:
        """The classes that the images show, sorted; empty if they are unknown.

        Raises:
            ValueError: if all images show the same class, and the data set has one class per image.
        """
        classes = () if self.labels is None else classes_of([self.labels[index] for index in self.indices])
        if len(classes) == 1 and isinstance(self.dataset, Labelled) and self.dataset.exclusive:
            raise ValueError(f"data={self.dataset.name} shows only {classes[0]}: there is nothing to classify")
        return classes


def prepared_dataset(cfg: DictConfig, node: DictConfig) -> Dataset:
    """The data set of ``node`` with its watermarks, downloaded if that was requested."""
    dataset = build_dataset(cfg, node)
    prepare(dataset)
    return dataset


def training_data(cfg: DictConfig, images: Dataset, scheme: Scheme) -> TrainingData:
    """The images for training and validation.

    Raises:
        ValueError: for classes that the data set does not have, for images without classes if the scheme needs them,
            and for a validation share that leaves no image for training.
    """
    training, validation = _subsets(cfg, images, scheme)
    classes = training.classes()
    transform = scheme.transform(single_view(instantiate(cfg.augmentation)), cfg.image_size)
    train = TrainingImages(training.dataset, training.indices, training.targets(classes), transform, cfg.seed)
    if train.targets is None:  # the loss of the scheme is validated, on its own views
        shown = TrainingImages(validation.dataset, validation.indices, None, transform, cfg.seed)
        held_out = shown if len(shown) else None
    else:
        held_out = _validation_images(cfg, validation, classes)
    loader: TrainingData = instantiate(cfg.loader, train=train, validation=held_out, seed=cfg.seed)
    return loader


def without_augmentation(images: TrainingImages, image_size: int) -> TrainingImages:
    """The same images, only resized."""
    return TrainingImages(images.dataset, images.indices, images.targets, resized(image_size), images.seed)


def _validation_images(cfg: DictConfig, subset: Subset, classes: Sequence[str]) -> TrainingImages | None:
    """None without images, or without classes to validate."""
    shown = subset.targets(classes) if subset.indices else None
    return TrainingImages(subset.dataset, subset.indices, shown, resized(cfg.image_size), cfg.seed) if shown else None


def _subsets(cfg: DictConfig, images: Dataset, scheme: Scheme) -> tuple[Subset, Subset]:
    labels = labels_of(images)
    if labels is None and scheme.labels:
        raise ValueError(
            f"data={images.name} has images of unknown class, and the scheme needs classes: choose another data.split, "
            "or scheme=simclr"
        )
    kept = Subset(images, labels, indices_without(images, labels, cfg.exclude))
    if isinstance(cfg.validation, Mapping):
        return kept, _validation_dataset(cfg)
    parts = split([images.image_id(index) for index in kept.indices], cfg.validation)
    train, validation = ([kept.indices[position] for position in positions] for positions in parts)
    return replace(kept, indices=train), replace(kept, indices=validation)


def _validation_dataset(cfg: DictConfig) -> Subset:
    """The data set that ``validation={...}`` describes; it may lack classes of ``exclude``."""
    node = OmegaConf.merge(cfg.data, cfg.validation)
    assert isinstance(node, DictConfig)
    try:
        dataset = prepared_dataset(cfg, node)
    except MissingDatasetError as error:
        raise MissingDatasetError(
            f"validation: {error}. Or hold out a share of the training images: validation=0.1"
        ) from error
    labels = labels_of(dataset)
    known = set(cfg.exclude) & set(classes_of(labels or []))
    return Subset(dataset, labels, indices_without(dataset, labels, sorted(known)))


def build_scheme(cfg: DictConfig, encoder: Encoder) -> Scheme:
    """The training scheme; the initial weights of its heads depend only on ``cfg.seed``."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_of(cfg.seed, "scheme"))
        scheme: Scheme = instantiate(cfg.scheme, width=feature_width(encoder))
    return scheme


def build_module(cfg: DictConfig, encoder: Encoder, scheme: Scheme, data: TrainingData) -> TrainingModule:
    """The Lightning module; raises ValueError for an image size that the network does not accept."""
    encoder.padded((cfg.image_size, cfg.image_size))
    return TrainingModule(
        encoder,
        scheme,
        data.train.targets,
        instantiate(cfg.optimizer),
        warmup=cfg.warmup,
        ema=cfg.ema,
        label_smoothing=cfg.label_smoothing,
        seed=cfg.seed,
    )


def build_trainer(
    cfg: DictConfig, folder: Path, attempt: int, data: TrainingData, callbacks: Sequence[Callback]
) -> Trainer:
    """The trainer with its loggers, and a checkpoint after each epoch.

    Args:
        attempt: number of this attempt, from 1 on, for the loggers.

    Raises:
        ValueError: for ``patience`` without validation images.
    """
    if cfg.patience is not None and data.validation is None:
        raise ValueError(f"patience={cfg.patience} needs the validation loss: give validation images with classes")
    stop = [] if cfg.patience is None else [Patience(cfg.patience)]
    everything = [EpochLog(), *callbacks, *stop, EpochCheckpoint(checkpoint_path(folder))]
    loggers = [logger.training_logger(folder, attempt) for logger in build_loggers(cfg.logger).values()]
    trainer: Trainer = instantiate(cfg.trainer, callbacks=everything, logger=loggers, default_root_dir=str(folder))
    return trainer


def checkpoint_path(folder: Path) -> Path:
    """The checkpoint from which an interrupted training is resumed."""
    return folder / "last.ckpt"
