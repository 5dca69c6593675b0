"""What is subtracted from every cluster's score: half of its centroid's squared norm."""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from nave.clustering import segments
from nave.clustering.clusters import coincident
from nave.composite import ROUNDING


def offsets(centroids: Float[Tensor, "B K D"]) -> Float[Tensor, "B K"]:
    """``|c|^2 / 2``; infinite where a centroid repeats an earlier one, lest rounding share out the points."""
    if centroids.device.type == "cpu":
        return torch.from_numpy(np.stack([segments.half_norms(image.numpy(), ROUNDING**2) for image in centroids]))
    repeats = coincident(centroids).tril(-1).any(2)
    return ((centroids**2).sum(2) / 2).masked_fill(repeats, torch.inf)
