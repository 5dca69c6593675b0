"""The images of a configuration: those that teach, and those that validate."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from omegaconf import DictConfig, OmegaConf

from nave.data.photograph import Dataset, Labelled, Prepared
from nave.data.watermark import watermarked
from nave.run import built
from nave.training.images import Images, TrainingData
from nave.training.scheme import Scheme
from nave.training.split import held_out
from nave.training.targets import Labels, Targets, classes_of, labels_of, targets, without
from nave.training.views import one_view, plain


@dataclass(frozen=True, eq=False)
class Chosen:
    """Some images of a data set, and the classes of all of it where they are known."""

    dataset: Dataset
    labels: Labels | None
    indices: Sequence[int]

    def targets(self, classes: Sequence[str]) -> Targets | None:
        """What the chosen images show of ``classes``."""
        if self.labels is None or not isinstance(self.dataset, Labelled):
            return None
        return targets([self.labels[index] for index in self.indices], classes, self.dataset.exclusive)

    def classes(self) -> tuple[str, ...]:
        """What the chosen images show.

        Raises:
            ValueError: where they show one class alone, and it is the only one that an image can show.
        """
        found = () if self.labels is None else classes_of([self.labels[index] for index in self.indices])
        if len(found) == 1 and isinstance(self.dataset, Labelled) and self.dataset.exclusive:
            raise ValueError(f"data={self.dataset.name} shows {found[0]} alone: nothing to tell apart")
        return found


def dataset(cfg: DictConfig, node: DictConfig) -> Dataset:
    """What ``node`` names, present on this machine, with its watermarks."""
    found: Dataset = built(node)
    if isinstance(found, Prepared):
        found.prepare()
    return watermarked(found, cfg.watermark, cfg.watermark_probability, cfg.seed, cfg.watermark_size)


def training_data(cfg: DictConfig, images: Dataset, scheme: Scheme) -> TrainingData:
    """Images to learn from and to validate on.

    Raises:
        ValueError: for classes that are not there, for images without classes where the scheme needs them, and for a
            share that leaves nothing.
    """
    teaching, validating = _chosen(cfg, images, scheme)
    classes = teaching.classes()
    transform = scheme.transform(one_view(built(cfg.augmentation)), cfg.image_size)
    learnt = Images(teaching.dataset, teaching.indices, teaching.targets(classes), transform, cfg.seed)
    shown = validating.targets(classes) if validating.indices else None
    others = Images(validating.dataset, validating.indices, shown, plain(cfg.image_size), cfg.seed) if shown else None
    loader: TrainingData = built(cfg.loader, learnt=learnt, validation=others, seed=cfg.seed)
    return loader


def as_validated(images: Images, image_size: int) -> Images:
    """The images of a training as they are when nothing is drawn."""
    return Images(images.dataset, images.indices, images.targets, plain(image_size), images.seed)


def _chosen(cfg: DictConfig, images: Dataset, scheme: Scheme) -> tuple[Chosen, Chosen]:
    labels = labels_of(images)
    if labels is None and scheme.labels:
        raise ValueError(
            f"data={images.name} has images of unknown class, and the scheme needs classes: choose another data.split, "
            "or scheme=simclr"
        )
    kept = Chosen(images, labels, without(images, labels, cfg.exclude))
    if OmegaConf.is_dict(cfg.validation):
        return kept, _second(cfg)
    learnt, validated = held_out([images.image_id(index) for index in kept.indices], cfg.validation)
    first, second = ([kept.indices[position] for position in positions] for positions in (learnt, validated))
    return replace(kept, indices=first), replace(kept, indices=second)


def _second(cfg: DictConfig) -> Chosen:
    """The second data set; it may lack a class that is excluded."""
    node = OmegaConf.merge(cfg.data, cfg.validation)
    assert isinstance(node, DictConfig)
    other = dataset(cfg, node)
    labels = labels_of(other)
    known = set(cfg.exclude) & set(classes_of(labels or []))
    return Chosen(other, labels, without(other, labels, sorted(known)))
