"""LOST (Siméoni et al. 2021, "Localizing Objects with Self-Supervised Transformers and no Labels")."""

import numpy as np
from jaxtyping import Bool, Float
from torch import Tensor

from nave.localization.interface import Baseline, Localization, Map, PatchTokens, component_at, whole_image


class Lost(Baseline):
    """LOST: the component of tokens similar to a seed, the token with the fewest similar ones.

    Equal to a literal implementation of the paper's section 3 (see the tests). On 100 images of VOC07 with ViT-S/14,
    CorLoc is 43.0, that of an independent prototype; with uncentred keys it is that of the whole image, as in the
    prototype. The paper's 61.9 on VOC07 (``model=vits16 localization.features=keys localization.centred=false``) is
    not verified, for lack of DINO's weights.

    Args:
        features: ``keys`` of the last layer's attention (the paper, for DINO) or its ``tokens``.
        centred: subtract the image's mean first. Products of DINO's keys are often negative, those of other encoders'
            tokens hardly ever, and then all tokens are similar.
        seeds: number of tokens of lowest degree among which the seed is expanded (k = 100 in the paper).

    Raises:
        ValueError: for other features or fewer than one seed.
    """

    def __init__(self, features: str, centred: bool, seeds: int) -> None:
        super().__init__(features)
        if seeds < 1:
            raise ValueError(f"localization.seeds={seeds}: must be at least 1")
        self.centred, self.seeds = centred, seeds

    def localize(self, tokens: PatchTokens) -> tuple[Map, Localization]:
        """Returns the similar tokens (1) and the rest (0), and the seed's box; the whole image if tokens are equal."""
        features = self.rows(tokens)
        if self.centred:
            features = features - features.mean(0)
        similar, seed = expand_seed(features, self.seeds)
        if not similar[seed]:
            return np.zeros(tokens.size, np.uint8), whole_image(tokens.size)
        grid = tokens.tokens.shape[1:]
        partition = tokens.at_pixels(similar.unflatten(0, grid).cpu().numpy())
        return partition, component_at(partition, tokens.first_pixel(*divmod(seed, grid[1])))


def expand_seed(features: Float[Tensor, "N c"], seeds: int) -> tuple[Bool[Tensor, " N"], int]:
    """Chooses the token with the fewest positive products as the seed, and expands it (the paper's section 3.2).

    The seed is joined by those of the ``seeds`` tokens of lowest degree whose product with it is positive. A token is
    similar if the sum of its products with them is positive.

    Returns:
        The mask of similar tokens, and the index of the seed.
    """
    products = features @ features.T
    degree = (products > 0).sum(1)
    lowest = degree.argsort(stable=True)[:seeds]
    seed = int(lowest[0])
    expanded = lowest[products[seed, lowest] > 0]
    return products[expanded].sum(0) > 0, seed
