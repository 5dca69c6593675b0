"""The size at which an image is explained: its own, a given one, or its own with a limit on the longer side."""

from collections.abc import Sequence
from dataclasses import dataclass

Size = tuple[int, int]  # (height, width)


@dataclass(frozen=True)
class InputSize:
    """The options ``image_size`` and ``longer_side``; the first one goes first.

    Args:
        fixed: every image is resized to it, its aspect ratio ignored; None for no such size.
        longer_side: pixels to which the longer side of a larger image is reduced, the aspect kept; None: no limit.
    """

    fixed: Size | None = None
    longer_side: int | None = None

    @classmethod
    def of(cls, image_size: int | Sequence[int] | None, longer_side: int | None) -> "InputSize":
        """The options as they are configured; raises ValueError for sides below 1."""
        if longer_side is not None and (isinstance(longer_side, bool | str) or longer_side < 1):
            raise ValueError(f"longer_side={longer_side}: give a number of pixels, or null for no limit")
        return cls(height_width(image_size), longer_side)

    def __call__(self, size: Size) -> Size:
        """The size at which an image of ``size`` is explained."""
        if self.fixed is not None:
            return self.fixed
        if self.longer_side is None or max(size) <= self.longer_side:
            return size
        height, width = (max(1, round(side * self.longer_side / max(size))) for side in size)
        return height, width


def height_width(image_size: int | Sequence[int] | None) -> Size | None:
    """The option ``image_size`` as (height, width); None for images of their own size.

    Raises:
        ValueError: for sides below 1.
    """
    if image_size is None:
        return None
    sides = (image_size, image_size) if isinstance(image_size, int) else tuple(image_size)
    if len(sides) != 2 or min(sides) < 1:
        raise ValueError(f"image_size={image_size}: give null (own size), an integer >= 1, or [height, width]")
    return sides[0], sides[1]
