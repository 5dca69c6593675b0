"""How torn a map's clusters are: artefacts show as specks far from one another."""

import numpy as np
from jaxtyping import UInt8
from scipy.ndimage import label


def scattered(labels: UInt8[np.ndarray, "H W"]) -> float:
    """Share of the pixels outside the largest 4-connected component of their cluster; 0 for whole clusters."""
    kept = sum(_largest_component(labels == cluster) for cluster in np.unique(labels))
    return 1 - kept / labels.size


def _largest_component(cluster: np.ndarray) -> int:
    components, _ = label(cluster)
    return int(np.bincount(components.ravel())[1:].max())
