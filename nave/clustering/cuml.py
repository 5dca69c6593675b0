"""RAPIDS cuML on the GPU, sharing memory with torch."""

import importlib
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.utils.dlpack import from_dlpack

from nave.clustering.interface import Clustering, Clusters
from nave.clustering.number import check_k
from nave.clustering.seeding import initial_centroids
from nave.composite.composite import Composite


@dataclass(frozen=True)
class Cuml:
    """``cuml.KMeans`` of every image from the same initial centroids as the factored engine.

    A QR decomposition first compresses the composite to ``min(D, n)`` channels (``n``: points of the grids), which
    preserves all distances. Options as in :class:`nave.clustering.factored.Factored`; as cuML stops by tolerance alone,
    ``tolerance`` 0 becomes 1e-12.
    """

    n_init: int
    max_iter: int
    tolerance: float

    def __call__(
        self, composite: Composite, k: int, seeds: Int64[Tensor, " B"], init: Float[Tensor, "B K D"] | None = None
    ) -> Clusters:
        """See :class:`nave.clustering.interface.Clustering`.

        Raises:
            RuntimeError: without a CUDA device or without the package, naming the extra ``gpu``.
        """
        cluster = import_cuml(composite.device.type)
        start = initial_centroids(composite, check_k(k), seeds, self.n_init) if init is None else init
        fits = [
            self._fit(cluster, composite.images(torch.tensor([i], device=start.device)), start[i], int(seeds[i]))
            for i in range(len(start))
        ]
        labels, centroids, inertia, iterations = (torch.stack(parts) for parts in zip(*fits, strict=True))
        return Clusters(labels.view(-1, *composite.size), centroids, inertia, iterations)

    def _fit(
        self, cluster: Any, image: Composite, start: Float[Tensor, "K D"], seed: int
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        compressed, basis = compress(image)
        X = compressed.materialise()[0]
        torch.cuda.current_stream(X.device).synchronize()  # cuML has streams of its own
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


def compress(image: Composite) -> tuple[Composite, Float[Tensor, "D R"]]:
    """Rotates the points of one image into ``R = sum_l min(C_l, h_l w_l)`` channels, preserving distances.

    Each block's features ``F (n, C)`` become ``F Q`` with ``Q R = F^T``: the rows of ``F`` lie in the span of ``Q``,
    so inner products of points are preserved. A centroid's part outside the span is equally far from every point.

    Returns:
        The compressed composite, and the orthonormal basis that maps its points back.
    """
    bases = [torch.linalg.qr(block.features[0].flatten(1)).Q for block in image.blocks]
    blocks = tuple(
        replace(block, features=torch.einsum("bchw,cr->brhw", block.features, Q))
        for block, Q in zip(image.blocks, bases, strict=True)
    )
    return Composite(blocks), torch.block_diag(*bases)


def import_cuml(device: str) -> Any:
    """The module ``cuml.cluster``, for a type of device.

    Raises:
        RuntimeError: without a CUDA device or without the package, naming the extra ``gpu``.
    """
    # without a GPU, ``import cuml`` succeeds and ``fit`` fails: check the device first
    cure = "install it with pip install 'nave[gpu]' on a machine with a CUDA device, or choose clustering=factored"
    if device != "cuda":
        raise RuntimeError(f"clustering=cuml needs the data on a CUDA device, not on {device}: {cure}")
    try:
        return importlib.import_module("cuml.cluster")
    except ImportError as error:
        raise RuntimeError(f"clustering=cuml needs RAPIDS cuML ({error}): {cure}") from error


def engine_name(clustering: Clustering, device: str) -> str:
    """The engine that clusters on a type of device: ``factored``, or ``cuml 26.8.0``, whose version decides results.

    Raises:
        RuntimeError: for cuML without a CUDA device or without the package.
    """
    name = type(clustering).__name__.lower()
    if not isinstance(clustering, Cuml):
        return name
    import_cuml(device)
    return f"{name} {importlib.import_module('cuml').__version__}"
