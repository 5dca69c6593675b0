"""The classifier's loss trains the encoder."""

from torch import Tensor, nn

from nave.training.images import Transform


class Supervised(nn.Module):
    """One view an image; the loss is the classifier's."""

    labels = True

    def __init__(self, width: int) -> None:  # noqa: ARG002 - every scheme is told the features' width
        super().__init__()

    def transform(self, augmentation: Transform, image_size: int) -> Transform:  # noqa: ARG002 - it crops itself
        """The augmentation's view."""
        return augmentation

    def forward(self, network: nn.Module, views: list[Tensor]) -> tuple[Tensor, None]:
        """Features ``(B, D)`` and no loss of its own."""
        return network(views[0]), None
