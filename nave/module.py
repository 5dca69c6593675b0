"""The Lightning module: predict_step turns a batch of images into explanations."""

import hashlib
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, UInt8
from lightning import LightningModule
from torch import Tensor

from nave.clustering.clusters import Clustering, Clusters
from nave.composite import Composer, Composite
from nave.data.batch import Batch
from nave.encoder import Encoder
from nave.localization.nave import ComponentLocalizer, Localization


@dataclass(frozen=True, eq=False)
class Explanation:
    """One image under one K: the map at the input's resolution (ids by decreasing size) and what was found on it."""

    image_id: str
    index: int  # position in the data set
    size: tuple[int, int]  # (height, width) of the original image
    k: int
    labels: UInt8[np.ndarray, "H W"]
    centroids: Float[np.ndarray, "K D"]
    inertia: float
    localization: Localization


class Explainer(LightningModule):
    """activations -> composite -> clusters -> boxes, for every image on its own; nothing is trained."""

    def __init__(
        self,
        encoder: Encoder,
        composer: Composer,
        clustering: Clustering,
        localizer: ComponentLocalizer,
        ks: Sequence[int],
        seed: int,
    ) -> None:
        super().__init__()
        self.encoder, self.composer, self.clustering, self.localizer = encoder, composer, clustering, localizer
        self.ks, self.seed = tuple(ks), seed
        self.seconds: defaultdict[str, float] = defaultdict(float)

    def predict_step(self, batch: Batch, batch_idx: int = 0) -> list[Explanation]:  # noqa: ARG002 - Lightning's
        """Explanations of the batch's images under every K; none if every image was unreadable."""
        if not batch.image_ids:
            return []
        image = (batch.images.shape[2], batch.images.shape[3])
        padded = self.encoder.padded(image)
        with self._timed("encoder"):
            activations = self.encoder(batch.images)
        with self._timed("clustering"):
            composite = self.composer.compose(activations, padded, image)
        return [e for k in self.ks for e in self._explanations(batch, composite, k, padded, image)]

    def _explanations(
        self, batch: Batch, composite: Composite, k: int, padded: tuple[int, int], image: tuple[int, int]
    ) -> list[Explanation]:
        with self._timed("clustering"):
            clusters = by_size(self.clustering(composite, k, image_seeds(batch.image_ids, self.seed)))
            labels = self.composer.labels_at_input(clusters.labels, padded, image).cpu().numpy()
            centroids, inertia = clusters.centroids.cpu().numpy(), clusters.inertia.tolist()
        with self._timed("localization"):
            return [
                Explanation(
                    image_id=batch.image_ids[i],
                    index=batch.indices[i],
                    size=batch.sizes[i],
                    k=k,
                    labels=labels[i],
                    centroids=centroids[i],
                    inertia=inertia[i],
                    localization=self.localizer(labels[i]),
                )
                for i in range(len(labels))
            ]

    @contextmanager
    def _timed(self, stage: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        self.seconds[stage] += time.perf_counter() - start


def image_seeds(image_ids: Sequence[str], seed: int) -> Tensor:
    """One seed an image, from its id alone: the same whatever its batch, device or place in the data set."""
    digests = (hashlib.sha256(f"{seed}/{image_id}".encode()).digest() for image_id in image_ids)
    return torch.tensor([int.from_bytes(digest[:7]) for digest in digests])


def by_size(clusters: Clusters) -> Clusters:
    """The same clusters with ids by decreasing number of points, so that a map's colours mean something."""
    K = clusters.centroids.shape[1]
    points = torch.stack([(clusters.labels == k).sum((1, 2)) for k in range(K)], dim=1)
    order = points.argsort(dim=1, descending=True, stable=True)
    rank = order.argsort(dim=1)
    labels = rank.gather(1, clusters.labels.flatten(1).long()).view(clusters.labels.shape)
    centroids = clusters.centroids.gather(1, order[:, :, None].expand_as(clusters.centroids))
    return Clusters(labels.to(torch.uint8), centroids, clusters.inertia, clusters.iterations)
