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

from nave.cache import ActivationCache
from nave.clustering.clusters import Clustering, Clusters
from nave.clustering.elbow import cluster
from nave.composer import Composer
from nave.composite import Composite
from nave.data.batch import Batch
from nave.encoder import Encoder
from nave.localization.localizer import Localization, Localizer, Peer, evidence
from nave.metrics.unlabelled import stability


@dataclass(frozen=True, eq=False)
class Explanation:
    """One image under one K: the map at the input's resolution (ids by decreasing size) and what was found on it."""

    image_id: str
    index: int  # position in the data set
    size: tuple[int, int]  # (height, width) of the original image
    k: int | str  # as asked for: a number, or auto
    labels: UInt8[np.ndarray, "H W"]
    centroids: Float[np.ndarray, "K D"]  # of the clusters that have pixels
    inertia: float | None  # None where a peer made the map without clusters
    localization: Localization
    stability: float | None = None  # agreement with maps from further seeds, where those were asked for


class Explainer(LightningModule):
    """activations -> composite -> clusters -> boxes, for every image on its own; nothing is trained."""

    def __init__(
        self,
        encoder: Encoder,
        composer: Composer,
        clustering: Clustering,
        localizer: Localizer | Peer,
        ks: Sequence[int | str],
        seed: int,
        further_seeds: int = 0,
        cache: ActivationCache | None = None,
    ) -> None:
        super().__init__()
        self.encoder, self.composer, self.clustering = encoder, composer, clustering
        self.localizer = localizer
        self.ks, self.seed = (localizer.parts,) if isinstance(localizer, Peer) else tuple(ks), seed
        self.further_seeds, self.cache = further_seeds, cache
        self.seconds: defaultdict[str, float] = defaultdict(float)

    def predict_step(self, batch: Batch, batch_idx: int = 0) -> list[Explanation]:
        """Explanations of the batch's images under every K; none if every image was unreadable."""
        if not batch.image_ids:
            return []
        image = (batch.images.shape[2], batch.images.shape[3])
        padded = self.encoder.padded(image)
        with self._timed("encoder"):
            activations = self.cache(self.encoder, batch.images) if self.cache else self.encoder(batch.images)
        with torch.autocast(self.device.type, enabled=False):  # reduced precision is for the encoder alone
            if isinstance(self.localizer, Peer):
                return self._partitions(self.localizer, batch, activations, padded, image)
            with self._timed("clustering"):
                composite = self.composer.compose(activations, padded, image)
            return [
                explanation
                for k in self.ks
                for explanation in self._explanations(self.localizer, batch, composite, k, padded, image)
            ]

    def _partitions(
        self,
        peer: Peer,
        batch: Batch,
        activations: dict[str, Tensor],
        padded: tuple[int, int],
        image: tuple[int, int],
    ) -> list[Explanation]:
        (grids,) = activations.values()
        with self._timed("localization"):
            found = [peer.partition(evidence(tokens, padded, image)) for tokens in grids]
        return [
            Explanation(
                image_id=batch.image_ids[i],
                index=batch.indices[i],
                size=batch.sizes[i],
                k=peer.parts,
                labels=labels,
                centroids=np.empty((0, 0), np.float32),
                inertia=None,
                localization=localization,
            )
            for i, (labels, localization) in enumerate(found)
        ]

    def _explanations(
        self,
        localizer: Localizer,
        batch: Batch,
        composite: Composite,
        k: int | str,
        padded: tuple[int, int],
        image: tuple[int, int],
    ) -> list[Explanation]:
        with self._timed("clustering"):
            clusters = by_size(cluster(self.clustering, composite, k, image_seeds(batch.image_ids, self.seed)))
            stable = self._stability(batch, composite, k, clusters)
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
                    centroids=centroids[i, : int(labels[i].max()) + 1],
                    inertia=inertia[i],
                    localization=localizer(labels[i]),
                    stability=stable[i],
                )
                for i in range(len(labels))
            ]

    def _stability(self, batch: Batch, composite: Composite, k: int | str, clusters: Clusters) -> list[float | None]:
        """Per image, how well its map agrees with those of the further seeds."""
        if not self.further_seeds:
            return [None] * len(clusters.labels)
        seeds = range(self.seed + 1, self.seed + 1 + self.further_seeds)
        others = [cluster(self.clustering, composite, k, image_seeds(batch.image_ids, seed)).labels for seed in seeds]
        maps = torch.stack([clusters.labels, *others], dim=1).cpu().numpy()
        return [stability(list(image)) for image in maps]

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
