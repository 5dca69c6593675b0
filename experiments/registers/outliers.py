"""Outlier tokens and their effect on maps (Darcet et al. 2024, "Vision transformers need registers")."""

import numpy as np
from jaxtyping import Bool, Float, UInt8
from torch import Tensor
from torch.nn import functional

FACTOR = 3.0  # times the median; outliers of the paper's ViT-L have 3 to 10 times the norm of the other tokens


def outliers(grid: Float[Tensor, "B C h w"], factor: float = FACTOR) -> Bool[Tensor, "B h w"]:
    """Tokens whose norm exceeds ``factor`` times the median norm of the tokens of their image.

    The threshold is relative, since norms differ by orders of magnitude between networks; the paper chooses an
    absolute one for each network by eye.

    Raises:
        ValueError: If ``factor`` is not larger than 1.
    """
    if factor <= 1:
        raise ValueError(f"factor={factor}: an outlier's norm exceeds the median, so give more than 1")
    norms = grid.norm(dim=1)
    threshold = factor * norms.flatten(1).median(dim=1).values
    above: Tensor = norms > threshold[:, None, None]
    return above


def at_pixels(tokens: Bool[Tensor, "B h w"], padded: tuple[int, int], image: tuple[int, int]) -> Bool[Tensor, "B H W"]:
    """Enlarges a mask of tokens to the padded input and crops it to the image; sizes are (height, width)."""
    pixels = functional.interpolate(tokens[:, None].float(), size=padded, mode="nearest")[:, 0]
    return pixels[:, : image[0], : image[1]] > 0


def clusters_spent(labels: UInt8[np.ndarray, "H W"], outlying: Bool[np.ndarray, "H W"]) -> float:
    """Share of the clusters of a map of which at least half the pixels are outliers."""
    pixels = np.bincount(labels.ravel())
    inside = np.bincount(labels[outlying].ravel(), minlength=len(pixels))
    present = pixels > 0
    return float((2 * inside[present] >= pixels[present]).mean())
