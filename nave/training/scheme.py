"""What a training scheme is to the rest: views of an image, and a loss of its own."""

from typing import Protocol, runtime_checkable

from torch import Tensor, nn

from nave.training.images import Transform


@runtime_checkable
class Scheme(Protocol):
    """A module with the heads and losses that the encoder itself is trained with."""

    labels: bool  # it cannot do without

    def transform(self, augmentation: Transform, image_size: int) -> Transform:
        """Views of one image; ``augmentation`` gives one."""
        ...

    def __call__(self, network: nn.Module, views: list[Tensor]) -> tuple[Tensor, Tensor | None]:
        """Features ``(B, D)`` of the first view, and the loss; None where the classifier's loss trains the encoder."""
        ...
