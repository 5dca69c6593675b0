"""The engines that are compared, and why one of them cannot take part here."""

from collections.abc import Callable
from importlib.util import find_spec

import torch

from nave.clustering.clusters import Clustering
from nave.clustering.cuml import Cuml
from nave.clustering.factored import Factored
from nave.clustering.sklearn import ScikitLearn

# all stop when no label changes any more, and are given the same initial centroids
ENGINES: dict[str, Callable[[], Clustering]] = {"factored": Factored, "sklearn": ScikitLearn, "cuml": Cuml}


def missing(engine: str) -> str | None:
    """What ``engine`` lacks on this machine."""
    if engine != "cuml":
        return None
    if not torch.cuda.is_available():
        return "no CUDA device"
    return None if find_spec("cuml") else "cuML is not installed: pip install 'nave[gpu]'"
