"""TokenCut (Wang et al. 2022, "... Unsupervised Object Discovery using Normalized Cut")."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import scipy.linalg
from jaxtyping import Bool, Float64, UInt8
from torch.nn import functional

from nave.localization.localizer import Evidence, Localization, found_at
from nave.localization.tokens import check_features, layer_of, taken


@dataclass(frozen=True)
class TokenCut:
    """Normalised cut of the graph of similar tokens; the box around the part of the most salient token.

    Args:
        features: ``keys`` of the last layer's attention (the paper, for DINO) or its ``tokens``.
        tau: two tokens are linked if their cosine is larger. The paper has 0.2 for DINO's keys; tokens of
            other encoders are closer to each other and want more.
        eps: weight of all other links, so that the graph is connected.

    Checked: equal to a literal reading of the paper's section 3, with its generalised eigenproblem (in the
    tests). On 100 images of VOC07 and ViT-S/14, CorLoc is 51.0, the figure of an independent prototype; on keys
    at tau 0.2, where nearly all tokens are linked and the cut is arbitrary, 11.0 (there: 0). The paper's own
    68.8 on VOC07 is not checked, for want of DINO's weights: ``model=vits16 localization.features=keys
    localization.tau=0.2``.
    """

    features: str = "tokens"
    tau: float = 0.6
    eps: float = 1e-5
    parts: ClassVar[int] = 2

    def __post_init__(self) -> None:
        check_features(self.features)
        if not -1 <= self.tau < 1:
            raise ValueError(f"localization.tau={self.tau}: a cosine from -1 to below 1 is wanted")
        if self.eps <= 0:
            raise ValueError(f"localization.eps={self.eps}: must be above 0, or the graph may fall apart")

    def layers(self, layers: Sequence[str]) -> list[str]:
        """The last one, or its attention."""
        return layer_of(self.features, layers)

    def partition(self, evidence: Evidence) -> tuple[UInt8[np.ndarray, "H W"], Localization]:
        """The part of the most salient token, and the box of those around it."""
        grid = evidence.tokens.shape[1:]
        features = functional.normalize(taken(self.features, evidence.tokens).double(), dim=1)
        links = np.where((features @ features.T).cpu().numpy() > self.tau, 1.0, self.eps)
        part, seed = salient_part(links)
        labels = evidence.at_pixels(part.reshape(grid))
        return labels, found_at(labels, evidence.first_pixel(*divmod(seed, grid[1])))


def salient_part(links: Float64[np.ndarray, "N N"]) -> tuple[Bool[np.ndarray, " N"], int]:
    """One side of the normalised cut and the token that is farthest out on it.

    The second smallest eigenvector y of ``(D - E) y = lambda D y`` is cut at its mean; the side with the
    largest ``|y|`` is the object (the paper's section 3). One token alone is one part.
    """
    if len(links) == 1:
        return np.ones(1, bool), 0
    scale = 1 / np.sqrt(links.sum(1))
    symmetric = np.eye(len(links)) - scale[:, None] * links * scale
    _, vectors = scipy.linalg.eigh(symmetric, subset_by_index=[1, 1], overwrite_a=True, check_finite=False)
    vector = scale * vectors[:, 0]
    seed = int(np.abs(vector).argmax())
    above = vector > vector.mean()
    part: Bool[np.ndarray, " N"] = above if above[seed] else ~above
    return part, seed
