"""Training schemes: supervised, and SimCLR."""

from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from nave.training.data import Transform, as_uint8


@runtime_checkable
class Scheme(Protocol):
    """A module with the heads and the loss that train an encoder."""

    labels: bool  # whether it needs the classes of the images

    def transform(self, augmentation: Transform, image_size: int) -> Transform:
        """The transform that makes the views of one image; ``augmentation`` makes a single view."""
        ...

    def __call__(self, network: nn.Module, views: list[Tensor]) -> tuple[Tensor, Tensor | None]:
        """Features ``(B, D)`` of the first view, and the loss; None if the classifier's loss trains the encoder."""
        ...


class Supervised(nn.Module):
    """Supervised training: one view per image, and the loss of the classifier."""

    labels = True

    def __init__(self, width: int) -> None:  # noqa: ARG002 - every scheme is given the width
        super().__init__()

    def transform(self, augmentation: Transform, image_size: int) -> Transform:  # noqa: ARG002 - the augmentation resizes
        """The augmentation, unchanged."""
        return augmentation

    def forward(self, network: nn.Module, views: list[Tensor]) -> tuple[Tensor, None]:
        """Features ``(B, D)`` of the view, and None: the loss is the classifier's."""
        return network(views[0]), None


class SimCLR(nn.Module):
    """SimCLR (Chen et al., ICML 2020) with lightly's views, projection head and NT-Xent loss; uses no labels.

    ``width`` is that of the encoder's features; ``conf/scheme/simclr.yaml`` says what the options mean.
    """

    labels = False

    def __init__(
        self, width: int, *, hidden: int, projected: int, temperature: float, colour: float, smallest_crop: float
    ) -> None:
        from lightly.loss import NTXentLoss
        from lightly.models.modules import SimCLRProjectionHead

        super().__init__()
        self.colour, self.smallest_crop = colour, smallest_crop
        self.head = SimCLRProjectionHead(width, hidden, projected)
        self.criterion = NTXentLoss(temperature, gather_distributed=torch.distributed.is_available())

    def transform(self, augmentation: Transform, image_size: int) -> Transform:  # noqa: ARG002 - SimCLR has its own
        """lightly's two views; ``augmentation`` is ignored."""
        from lightly.transforms.simclr_transform import SimCLRTransform

        return as_uint8(
            SimCLRTransform(image_size, cj_strength=self.colour, min_scale=self.smallest_crop, normalize=None)
        )

    def forward(self, network: nn.Module, views: list[Tensor]) -> tuple[Tensor, Tensor]:
        """Features ``(B, D)`` of the first view, and the loss of both views."""
        first, second = (network(view) for view in views)
        return first, self.criterion(self.head(first), self.head(second))
