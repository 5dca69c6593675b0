"""Class mIoU of groups that have no names: Hungarian matching on pixels pooled over the data set."""

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Int, Integer
from scipy.optimize import linear_sum_assignment
from torch import Tensor
from torchmetrics import Metric

from nave.metrics.segmentation import IGNORE, pair_ious


class Matched(NamedTuple):
    """`miou` is a mean over the classes that occur in the truth; None when none does."""

    miou: float | None
    ious: tuple[float | None, ...]  # one a class; None: the class does not occur
    groups: tuple[int | None, ...]  # the group matched to each class; None: no group was left


class MatchedClassIoU(Metric):
    """Pools pixels of a whole data set by group and class, then matches groups to classes one to one.

    The matching maximises the sum of IoUs (scipy's Hungarian solver); a class left without a group scores 0,
    the pixels of a group left without a class are missed. The state is one `groups` x `classes` table
    whatever the number of images, summed over processes. Equals `MulticlassJaccardIndex` of the renamed
    groups.
    """

    full_state_update = False
    confusion: Int[Tensor, "groups classes"]

    def __init__(self, groups: int = 21, classes: int = 21, ignore: int = IGNORE) -> None:
        super().__init__()
        self.classes, self.groups, self.ignore = classes, groups, ignore
        self.add_state("confusion", torch.zeros(groups, classes, dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, groups: Integer[Tensor, "..."], truth: Integer[Tensor, "..."]) -> None:
        """Add maps of groups (0 … groups-1) and of classes (0 … classes-1, or the ignored id)."""
        valid = truth != self.ignore
        found, true = groups[valid].long(), truth[valid].long()
        _check_range("group", found, self.groups)
        _check_range("class", true, self.classes)
        cells = torch.bincount(found * self.classes + true, minlength=self.groups * self.classes)
        self.confusion += cells.view(self.groups, self.classes)

    def compute(self) -> Matched:
        """Match and average; figures between 0 and 1."""
        return matched(self.confusion.cpu().numpy())


def matched(table: Integer[np.ndarray, "groups classes"]) -> Matched:
    """Match groups to classes by their numbers of common pixels, and average; figures between 0 and 1."""
    ious = pair_ious(table)
    group_of = {int(c): int(g) for g, c in zip(*linear_sum_assignment(ious, maximize=True), strict=True)}
    occurs = (table.sum(axis=0) > 0).tolist()
    per_class = tuple(
        None if not occurs[c] else float(ious[group_of[c], c]) if c in group_of else 0.0 for c in range(table.shape[1])
    )
    present = [value for value in per_class if value is not None]
    miou = float(np.mean(present)) if present else None
    return Matched(miou, per_class, tuple(group_of.get(c) for c in range(table.shape[1])))


def _check_range(kind: str, ids: Int[Tensor, " n"], count: int) -> None:
    if ids.numel() and (int(ids.min()) < 0 or int(ids.max()) >= count):
        low, high = int(ids.min()), int(ids.max())
        raise ValueError(f"{kind} ids run from {low} to {high}, expected 0 to {count - 1}")
