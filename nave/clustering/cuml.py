"""RAPIDS cuML on the GPU, from torch memory and back without copies."""

import importlib
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.utils.dlpack import from_dlpack

from nave.clustering.clusters import Clusters, check_k
from nave.clustering.seeding import initial_centroids
from nave.composite import Composite


@dataclass(frozen=True)
class Cuml:
    """``cuml.KMeans`` of every image from the same initial centroids as the factored engine.

    The composite is compressed by a QR decomposition to ``min(D, n)`` columns first (``n``: points of the grids),
    which changes no distance. Arguments as in :class:`nave.clustering.factored.Factored`; ``tolerance`` 0 means
    cuML's smallest, since it stops by tolerance alone.

    Raises:
        RuntimeError: when called without a CUDA device or without the package, naming the extra ``gpu``.
    """

    n_init: int = 1
    max_iter: int = 300
    tolerance: float = 0.0

    def __call__(
        self, composite: Composite, k: int, seeds: Int64[Tensor, " B"], init: Float[Tensor, "B K D"] | None = None
    ) -> Clusters:
        """See :class:`nave.clustering.clusters.Clustering`."""
        cluster = _cuml_cluster(composite.blocks[0].features.device)
        start = initial_centroids(composite, check_k(k), seeds, self.n_init) if init is None else init
        fits = [
            self._fit(cluster, composite.images(torch.tensor([i], device=start.device)), start[i], int(seeds[i]))
            for i in range(len(start))
        ]
        labels, centroids, inertia, iterations = (torch.stack(parts) for parts in zip(*fits, strict=True))
        return Clusters(labels.view(-1, *composite.size), centroids, inertia, iterations)

    def _fit(
        self, cluster: Any, one: Composite, start: Float[Tensor, "K D"], seed: int
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        short, basis = compressed(one)
        X = short.materialise()[0]
        engine = cluster.KMeans(
            n_clusters=len(start),
            init=start @ basis,
            n_init=1,
            max_iter=self.max_iter,
            tol=self.tolerance or 1e-12,
            random_state=seed % 2**31,
            output_type="cupy",
        ).fit(X)
        return (
            from_dlpack(engine.labels_).to(torch.uint8),
            from_dlpack(engine.cluster_centers_).to(start.dtype) @ basis.T,
            torch.tensor(float(engine.inertia_), dtype=torch.float64, device=X.device),
            torch.tensor(int(engine.n_iter_), device=X.device),
        )


def compressed(one: Composite) -> tuple[Composite, Float[Tensor, "D R"]]:
    """A composite of ``R = sum_l min(C_l, h_l w_l)`` channels with the same distances, and the orthonormal basis back.

    Each block's features ``F (n, C)`` become ``F Q`` with ``Q R = F^T``: the rows of ``F`` lie in the span of ``Q``,
    so inner products of points stay. What of a centroid lies outside that span is the same for every point.
    """
    parts = [torch.linalg.qr(block.features[0].flatten(1)).Q for block in one.blocks]
    blocks = tuple(
        replace(block, features=torch.einsum("bchw,cr->brhw", block.features, Q))
        for block, Q in zip(one.blocks, parts, strict=True)
    )
    return Composite(blocks), torch.block_diag(*parts)


def _cuml_cluster(device: torch.device) -> Any:
    """``import cuml`` succeeds without a GPU and ``fit`` then fails, so the device is asked first."""
    cure = "install it with pip install 'nave[gpu]' on a machine with a CUDA device, or choose clustering=factored"
    if device.type != "cuda":
        raise RuntimeError(f"clustering=cuml needs the data on a CUDA device, not on {device}: {cure}")
    try:
        return importlib.import_module("cuml.cluster")
    except ImportError as error:
        raise RuntimeError(f"clustering=cuml needs RAPIDS cuML ({error}): {cure}") from error
