"""The box that everybody can draw."""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from jaxtyping import UInt8

from nave.localization.localizer import Evidence, Localization, whole


class WholeImage:
    """The whole image is the object: what a method must beat to have seen anything.

    Checked: 26.8 CorLoc on the 153 VOC07 images of METHOD section 4, by the boxes alone.
    """

    parts: ClassVar[int] = 1

    def layers(self, layers: Sequence[str]) -> list[str]:
        """The first: it is read for the map's size alone."""
        return [layers[0]]

    def partition(self, evidence: Evidence) -> tuple[UInt8[np.ndarray, "H W"], Localization]:
        """One part, one box."""
        return np.zeros(evidence.size, np.uint8), whole(evidence.size)
