"""TokenCut (Wang et al. 2022, "Self-Supervised Transformers for ... Object Discovery using Normalized Cut")."""

import numpy as np
import scipy.linalg
from jaxtyping import Bool, Float64
from threadpoolctl import ThreadpoolController
from torch.nn import functional

from nave.localization.interface import Baseline, Localization, Map, PatchTokens, component_at

LIBRARIES = ThreadpoolController()  # those loaded by now, SciPy's BLAS among them: looking for them takes milliseconds


class TokenCut(Baseline):
    """TokenCut: normalised cut of the graph of similar tokens, and the component of the most salient token.

    Equal to a literal implementation of the paper's section 3, with its generalised eigenproblem (see the tests). On
    100 images of VOC07 with ViT-S/14, CorLoc is 51.0, that of an independent prototype; with keys and tau 0.2, where
    nearly all tokens are linked and the cut is arbitrary, 11.0 (prototype: 0). The paper's 68.8 on VOC07
    (``model=vits16 localization.features=keys localization.tau=0.2``) is not verified, for lack of DINO's weights.

    Args:
        features: ``keys`` of the last layer's attention (the paper, for DINO) or its ``tokens``.
        tau: tokens are linked if their cosine is larger. The paper uses 0.2 for DINO's keys; tokens of other encoders
            are closer to each other and need a larger one.
        eps: weight of all other links, which keeps the graph connected.

    Raises:
        ValueError: for other features, ``tau`` outside [-1, 1) or ``eps`` that is not positive.
    """

    def __init__(self, features: str, tau: float, eps: float) -> None:
        super().__init__(features)
        if not -1 <= tau < 1:
            raise ValueError(f"localization.tau={tau}: must be a cosine from -1 to below 1")
        if eps <= 0:
            raise ValueError(f"localization.eps={eps}: must be above 0, or the graph may be disconnected")
        self.tau, self.eps = tau, eps

    def localize(self, tokens: PatchTokens) -> tuple[Map, Localization]:
        """Returns the side of the most salient token (1) and the other (0), and the box of that token's component."""
        grid = tokens.tokens.shape[1:]
        features = functional.normalize(self.rows(tokens).double(), dim=1)
        links = np.where((features @ features.T).cpu().numpy() > self.tau, 1.0, self.eps)
        side, seed = normalised_cut(links)
        partition = tokens.at_pixels(side.reshape(grid))
        return partition, component_at(partition, tokens.first_pixel(*divmod(seed, grid[1])))


def normalised_cut(links: Float64[np.ndarray, "N N"]) -> tuple[Bool[np.ndarray, " N"], int]:
    """Splits the tokens at the mean of y, the second smallest eigenvector of ``(D - E) y = lambda D y``.

    A single token is one side. One thread solves: several wait for each other at every step of so small a problem, for
    most of the time where other processes work too.

    Returns:
        The side with the largest ``|y|``, the object (the paper's section 3), and the token that has it.
    """
    if len(links) == 1:
        return np.ones(1, bool), 0
    scale = 1 / np.sqrt(links.sum(1))
    symmetric = np.eye(len(links)) - scale[:, None] * links * scale
    with LIBRARIES.limit(limits=1, user_api="blas"):
        _, vectors = scipy.linalg.eigh(symmetric, subset_by_index=[1, 1], overwrite_a=True, check_finite=False)
    vector = scale * vectors[:, 0]
    seed = int(np.abs(vector).argmax())
    above = vector > vector.mean()
    side: Bool[np.ndarray, " N"] = above if above[seed] else ~above
    return side, seed
