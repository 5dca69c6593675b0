"""LOST (Siméoni et al. 2021, "Localizing Objects with Self-Supervised Transformers and no Labels")."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from nave.localization.localizer import Evidence, Localization, found_at, whole
from nave.localization.tokens import check_features, layer_of, taken


@dataclass(frozen=True)
class Lost:
    """Seed, expansion, component: a box around what resembles the image's least connected token.

    Args:
        features: ``keys`` of the last layer's attention (the paper, for DINO) or its ``tokens``.
        centred: subtract the image's mean first. DINO's keys have negative products by themselves; tokens of
            other encoders have nearly none, and LOST then finds everything.
        seeds: tokens of lowest degree among which the seed is expanded (k in the paper: 100).

    Checked: equal to a literal reading of the paper's section 3 (in the tests). On 100 images of VOC07 and
    ViT-S/14, CorLoc is 43.0, the figure of an independent prototype; on its uncentred keys it is that of the
    whole image, there too. The paper's own 61.9 on VOC07 is not checked, for want of DINO's weights:
    ``model=vits16 localization.features=keys localization.centred=false``.
    """

    features: str = "tokens"
    centred: bool = True
    seeds: int = 100
    parts: ClassVar[int] = 2

    def __post_init__(self) -> None:
        check_features(self.features)
        if self.seeds < 1:
            raise ValueError(f"localization.seeds={self.seeds}: must be at least 1")

    def layers(self, layers: Sequence[str]) -> list[str]:
        """The last one, or its attention."""
        return layer_of(self.features, layers)

    def partition(self, evidence: Evidence) -> tuple[UInt8[np.ndarray, "H W"], Localization]:
        """What resembles the seeds, and the box around the first of them; all where tokens are equal."""
        grid = evidence.tokens.shape[1:]
        features = taken(self.features, evidence.tokens)
        if self.centred:
            features = features - features.mean(0)
        similar, seed = expanded(features, self.seeds)
        if not similar[seed]:
            return np.zeros(evidence.size, np.uint8), whole(evidence.size)
        labels = evidence.at_pixels(similar.unflatten(0, grid).cpu().numpy())
        return labels, found_at(labels, evidence.first_pixel(*divmod(seed, grid[1])))


def expanded(features: Float[Tensor, "N c"], seeds: int) -> tuple[Bool[Tensor, " N"], int]:
    """The mask of similar tokens, and the seed: the token with the fewest positive products.

    The seed's company are those of the ``seeds`` tokens of lowest degree that resemble it; a token belongs to
    the mask if its products with the company are positive in sum (the paper's section 3.2).
    """
    products = features @ features.T
    degree = (products > 0).sum(1)
    lowest = degree.argsort(stable=True)[:seeds]
    seed = int(lowest[0])
    company = lowest[products[seed, lowest] > 0]
    return products[company].sum(0) > 0, seed
