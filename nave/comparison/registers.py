"""Outlier tokens and what they do to maps (Darcet et al. 2024, "Vision transformers need registers")."""

import numpy as np
from jaxtyping import Bool, Float, UInt8
from torch import Tensor
from torch.nn import functional

FACTOR = 3.0  # times the median; in the paper's ViT-L outliers have 3 to 10 times the norm of the others


def outliers(grid: Float[Tensor, "B C h w"], factor: float = FACTOR) -> Bool[Tensor, "B h w"]:
    """Tokens whose norm exceeds ``factor`` times the median norm of their image's tokens.

    Relative, since norms differ by orders of magnitude between networks; the paper draws one line by eye for each.

    Raises:
        ValueError: for a factor that no more than half of the tokens need not reach.
    """
    if factor <= 1:
        raise ValueError(f"factor={factor}: an outlier's norm exceeds the median, so give more than 1")
    norms = grid.norm(dim=1)
    line = factor * norms.flatten(1).median(dim=1).values
    above: Tensor = norms > line[:, None, None]
    return above


def at_pixels(tokens: Bool[Tensor, "B h w"], padded: tuple[int, int], image: tuple[int, int]) -> Bool[Tensor, "B H W"]:
    """The tokens' pixels: as large as the network's input ``padded``, then cut to the image (height, width)."""
    pixels = functional.interpolate(tokens[:, None].float(), size=padded, mode="nearest")[:, 0]
    return pixels[:, : image[0], : image[1]] > 0


def clusters_spent(labels: UInt8[np.ndarray, "H W"], outlying: Bool[np.ndarray, "H W"]) -> float:
    """Share of the map's clusters that consist of outlier tokens by half or more."""
    pixels = np.bincount(labels.ravel())
    inside = np.bincount(labels[outlying].ravel(), minlength=len(pixels))
    present = pixels > 0
    return float((2 * inside[present] >= pixels[present]).mean())
