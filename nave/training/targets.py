"""What the images of a data set show, as numbers to learn."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

import torch
from torch import Tensor

from nave.data.photograph import Dataset, Labelled

Labels = list[tuple[str, ...]]


@dataclass(frozen=True, eq=False)
class Targets:
    """The classes, and for each image its class ``(N,)``, or zeros and ones ``(N, C)`` where several may be there."""

    classes: tuple[str, ...]
    exclusive: bool
    values: Tensor

    def __getitem__(self, kept: Sequence[int]) -> "Targets":
        return Targets(self.classes, self.exclusive, self.values[list(kept)])


def labels_of(dataset: Dataset) -> Labels | None:
    """The classes of every image; None where they are not known of all."""
    if not isinstance(dataset, Labelled):
        return None
    labels = [dataset.labels(index) for index in range(len(dataset))]
    return None if None in labels else [some for some in labels if some is not None]


def without(dataset: Dataset, labels: Labels | None, exclude: Collection[str]) -> list[int]:
    """Positions of the images that show none of the classes in ``exclude``.

    Raises:
        ValueError: for a class that the data set does not have, listing those that it has; if no image is left.
    """
    if not exclude:
        return list(range(len(dataset)))
    if labels is None:
        raise ValueError(f"exclude={list(exclude)}: data={dataset.name} has images of unknown class")
    classes = classes_of(labels)
    for name in exclude:
        if name not in classes:
            raise ValueError(f"exclude={name}: data={dataset.name} has no such class; {_choices(name, classes)}")
    kept = [index for index, shown in enumerate(labels) if not set(shown) & set(exclude)]
    if not kept:
        raise ValueError(f"exclude={list(exclude)}: not one of {len(labels)} images of {dataset.name} is left")
    return kept


def classes_of(labels: Labels) -> tuple[str, ...]:
    """All that occur, sorted."""
    return tuple(sorted({name for shown in labels for name in shown}))


def targets(labels: Labels, classes: Sequence[str], exclusive: bool) -> Targets:
    """Classes that are not in ``classes`` count as absent where several may be there.

    Raises:
        ValueError: for an image whose one class is not in ``classes``.
    """
    numbers = {name: number for number, name in enumerate(classes)}
    if exclusive:
        if strange := {shown[0] for shown in labels} - set(classes):
            raise ValueError(f"validation images show {', '.join(sorted(strange))}, which no training image does")
        return Targets(tuple(classes), True, torch.tensor([numbers[shown[0]] for shown in labels]))
    values = torch.zeros(len(labels), len(classes))
    for row, shown in zip(values, labels, strict=True):
        row[[numbers[name] for name in shown if name in numbers]] = 1
    return Targets(tuple(classes), False, values)


def _choices(name: str, classes: Sequence[str]) -> str:
    close = get_close_matches(name, classes, n=1)
    hint = f" Did you mean {close[0]}?" if close else ""
    return f"it has: {', '.join(classes)}.{hint}"
