"""SimCLR (Chen et al., ICML 2020): two views of one image should look alike, those of others should not."""

import torch
from torch import Tensor, nn

from nave.training.images import Transform
from nave.training.views import unnormalised


class SimCLR(nn.Module):
    """lightly's views, projection head and NT-Xent loss; no label is used for the encoder.

    Args:
        width: of the encoder's features.
        hidden: width of the projection head's hidden layer.
        projected: width of what it puts out.
        temperature: of the loss.
        colour: strength of the colour jitter (lightly advises 0.5 for small images).
        smallest_crop: share of the image.
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

    def transform(self, augmentation: Transform, image_size: int) -> Transform:  # noqa: ARG002 - the scheme's own
        """Two views, drawn alike; ``augmentation`` is not asked."""
        from lightly.transforms.simclr_transform import SimCLRTransform

        return unnormalised(
            SimCLRTransform(image_size, cj_strength=self.colour, min_scale=self.smallest_crop, normalize=None)
        )

    def forward(self, network: nn.Module, views: list[Tensor]) -> tuple[Tensor, Tensor]:
        """Features ``(B, D)`` of the first view, and the loss of both."""
        first, second = (network(view) for view in views)
        return first, self.criterion(self.head(first), self.head(second))
