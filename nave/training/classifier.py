"""The head that learns classes, and how well it knows them."""

from typing import Any

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn
from torch.nn import functional
from torchmetrics import Metric, MetricCollection
from torchmetrics.classification import MulticlassAccuracy
from torchmetrics.functional.classification import binary_auroc, binary_average_precision
from torchmetrics.utilities import dim_zero_cat

from nave.training.targets import Targets


class Classifier(nn.Module):
    """A linear layer: cross entropy where an image has one class, binary cross entropy of every class else."""

    def __init__(self, width: int, targets: Targets, label_smoothing: float = 0.0) -> None:
        super().__init__()
        self.exclusive, self.label_smoothing = targets.exclusive, label_smoothing
        self.head = nn.Linear(width, len(targets.classes))

    def forward(self, features: Float[Tensor, "B D"]) -> Float[Tensor, "B C"]:
        """Logits."""
        logits: Tensor = self.head(features)
        return logits

    def loss(self, logits: Float[Tensor, "B C"], values: Shaped[Tensor, "B ..."], smooth: bool = True) -> Tensor:
        """Mean over images (and classes); ``values`` as in :class:`nave.training.targets.Targets`."""
        if not self.exclusive:
            return functional.binary_cross_entropy_with_logits(logits, values)
        return functional.cross_entropy(logits, values, label_smoothing=self.label_smoothing if smooth else 0.0)


class MultiLabel(Metric):
    """Mean average precision, mean area under the ROC curve: of the classes that some images show and some do not."""

    full_state_update = False
    logits: list[Tensor]
    values: list[Tensor]

    def __init__(self) -> None:
        super().__init__()
        self.add_state("logits", [], dist_reduce_fx="cat")
        self.add_state("values", [], dist_reduce_fx="cat")

    def update(self, logits: Float[Tensor, "B C"], values: Float[Tensor, "B C"]) -> None:
        """Keeps them: ranking needs all."""
        self.logits.append(logits.float())
        self.values.append(values.long())

    def compute(self) -> dict[str, Tensor]:
        """Shares; empty where every class is always, or never, there."""
        logits, values = dim_zero_cat(self.logits), dim_zero_cat(self.values)
        known = ((values.sum(0) > 0) & (values.sum(0) < len(values))).nonzero().flatten().tolist()
        if not known:
            return {}
        functions: dict[str, Any] = {"map": binary_average_precision, "auroc": binary_auroc}
        return {
            name: torch.stack([function(logits[:, c].sigmoid(), values[:, c]) for c in known]).mean()
            for name, function in functions.items()
        }


def metrics(targets: Targets) -> MetricCollection | MultiLabel:
    """What tells how well the classes are known."""
    if not targets.exclusive:
        return MultiLabel()
    return MetricCollection({"accuracy": MulticlassAccuracy(len(targets.classes), average="micro")})
