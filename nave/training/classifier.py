"""The classification targets, the linear classifier and its metrics."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn
from torch.nn import functional
from torchmetrics import Metric, MetricCollection
from torchmetrics.classification import MulticlassAccuracy
from torchmetrics.functional.classification import binary_auroc, binary_average_precision
from torchmetrics.utilities import dim_zero_cat

from nave.data.interface import Dataset, Labelled
from nave.near_names import near

Labels = list[tuple[str, ...]]  # the classes of each image


@dataclass(frozen=True, eq=False)
class Targets:
    """The classification targets of N images.

    Args:
        values: class indices ``(N,)`` if exclusive, else zeros and ones ``(N, C)``.
    """

    classes: tuple[str, ...]
    exclusive: bool
    values: Tensor

    def __getitem__(self, kept: Sequence[int]) -> "Targets":
        return Targets(self.classes, self.exclusive, self.values[list(kept)])


def labels_of(dataset: Dataset) -> Labels | None:
    """The classes of every image; None unless those of all images are known."""
    if not isinstance(dataset, Labelled):
        return None
    labels = [dataset.labels(index) for index in range(len(dataset))]
    known = [shown for shown in labels if shown is not None]
    return known if len(known) == len(labels) else None


def indices_without(dataset: Dataset, labels: Labels | None, exclude: Collection[str]) -> list[int]:
    """Positions of the images that show none of the classes in ``exclude``.

    Raises:
        ValueError: for a class that the data set does not have (lists those that it has), or if no image is left.
    """
    if not exclude:
        return list(range(len(dataset)))
    if labels is None:
        raise ValueError(f"exclude={list(exclude)}: data={dataset.name} has images of unknown class")
    classes = classes_of(labels)
    for name in exclude:
        if name not in classes:
            known = f"it has: {', '.join(classes)}.{near(name, classes)}"
            raise ValueError(f"exclude={name}: data={dataset.name} has no such class; {known}")
    kept = [index for index, shown in enumerate(labels) if not set(shown) & set(exclude)]
    if not kept:
        raise ValueError(f"exclude={list(exclude)}: none of the {len(labels)} images of {dataset.name} is left")
    return kept


def classes_of(labels: Labels) -> tuple[str, ...]:
    """All classes that occur, sorted."""
    return tuple(sorted({name for shown in labels for name in shown}))


def targets(labels: Labels, classes: Sequence[str], exclusive: bool) -> Targets:
    """The targets of images; if an image may have several classes, those that are not in ``classes`` are ignored.

    Raises:
        ValueError: if ``exclusive`` and an image's class is not in ``classes``.
    """
    numbers = {name: number for number, name in enumerate(classes)}
    if exclusive:
        if unknown := {shown[0] for shown in labels} - set(classes):
            raise ValueError(f"validation images show {', '.join(sorted(unknown))}, which no training image does")
        return Targets(tuple(classes), True, torch.tensor([numbers[shown[0]] for shown in labels]))
    values = torch.zeros(len(labels), len(classes))
    for row, shown in zip(values, labels, strict=True):
        row[[numbers[name] for name in shown if name in numbers]] = 1
    return Targets(tuple(classes), False, values)


class Classifier(nn.Module):
    """A linear layer, trained by cross entropy if an image has one class, else by binary cross entropy."""

    def __init__(self, width: int, targets: Targets, label_smoothing: float) -> None:
        super().__init__()
        self.exclusive, self.label_smoothing = targets.exclusive, label_smoothing
        self.head = nn.Linear(width, len(targets.classes))

    def forward(self, features: Float[Tensor, "B D"]) -> Float[Tensor, "B C"]:
        """The logits of each class."""
        logits: Tensor = self.head(features)
        return logits

    def loss(self, logits: Float[Tensor, "B C"], values: Shaped[Tensor, "B ..."], smooth: bool = True) -> Tensor:
        """The mean loss over images (and classes)."""
        if not self.exclusive:
            return functional.binary_cross_entropy_with_logits(logits, values)
        return functional.cross_entropy(logits, values, label_smoothing=self.label_smoothing if smooth else 0.0)


class MultiLabel(Metric):
    """Mean average precision and mean area under the ROC curve over the classes that only a part of the images show."""

    full_state_update = False
    logits: list[Tensor]
    values: list[Tensor]

    def __init__(self) -> None:
        super().__init__()
        self.add_state("logits", [], dist_reduce_fx="cat")
        self.add_state("values", [], dist_reduce_fx="cat")

    def update(self, logits: Float[Tensor, "B C"], values: Float[Tensor, "B C"]) -> None:
        """Stores logits and targets, since the ranking needs all of them."""
        self.logits.append(logits.float())
        self.values.append(values.long())

    def compute(self) -> dict[str, Tensor]:
        """``map`` and ``auroc`` from 0 to 1; empty if no class can be ranked."""
        logits, values = dim_zero_cat(self.logits), dim_zero_cat(self.values)
        ranked = ((values.sum(0) > 0) & (values.sum(0) < len(values))).nonzero().flatten().tolist()
        if not ranked:
            return {}
        functions: dict[str, Any] = {"map": binary_average_precision, "auroc": binary_auroc}
        return {
            name: torch.stack([function(logits[:, c].sigmoid(), values[:, c]) for c in ranked]).mean()
            for name, function in functions.items()
        }


def metrics(targets: Targets) -> MetricCollection | MultiLabel:
    """The metrics of the classifier: accuracy if an image has one class, else :class:`MultiLabel`."""
    if not targets.exclusive:
        return MultiLabel()
    return MetricCollection({"accuracy": MulticlassAccuracy(len(targets.classes), average="micro")})
