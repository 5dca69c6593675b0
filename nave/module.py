"""The Lightning module, whose ``predict_step`` explains a batch of images."""

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

from nave.clustering.interface import Clustering, Clusters, NumberOfClusters, cluster
from nave.composite.composer import Composer
from nave.composite.composite import Composite
from nave.data.datamodule import Batch
from nave.data.seed import seed_of
from nave.encoder.activation_cache import ActivationCache
from nave.encoder.encoder import Encoder
from nave.encoder.hooks import Activations, check_finite
from nave.localization.foreground import Foreground, Head
from nave.localization.interface import Localization, Localizer, PatchTokens, patch_tokens, resized
from nave.metrics.unlabelled import stability


@dataclass(frozen=True, eq=False)
class Explanation:
    """The map of one image for one K and its boxes, in pixels of the image that the encoder receives."""

    image_id: str
    index: int  # position in the data set
    size: tuple[int, int]  # (height, width) of the original image
    k: NumberOfClusters | None  # as configured; None: the map of a baseline, without clusters
    labels: UInt8[np.ndarray, "H W"]  # ids by decreasing area
    centroids: Float[np.ndarray, "K D"]  # without those of empty clusters
    inertia: float | None
    localization: Localization
    stability: float | None = None  # agreement with maps from further seeds; None: not computed


@dataclass(frozen=True, eq=False)
class ImageClusters:
    """The clusters of one image; without labels for a method that needs none."""

    labels: UInt8[np.ndarray, "H W"] | None
    centroids: Float[np.ndarray, "K D"]
    inertia: float | None
    stability: float | None


NO_CLUSTERS = ImageClusters(None, np.empty((0, 0), np.float32), None, None)


class Explainer(LightningModule):
    """Explains images one by one: activations -> composite -> clusters -> boxes. Nothing is trained.

    Args:
        encoder: reads the layers that ``localization`` needs.
        composite: how layers are upsampled, normalised and weighted.
        clustering: the engine.
        localization: NAVE or a baseline.
        ks: as returned by :meth:`nave.localization.interface.Localizer.ks`.
        seed: of the run; each image's own seed is derived from it and the image's id.
        stability_seeds: number of further seeds for the stability of maps; 0 computes none.
        cache: of activations.
    """

    def __init__(
        self,
        encoder: Encoder,
        composite: Composer,
        clustering: Clustering,
        localization: Localizer,
        ks: Sequence[NumberOfClusters | None],
        seed: int,
        stability_seeds: int = 0,
        cache: ActivationCache | None = None,
    ) -> None:
        super().__init__()
        self.encoder, self.composite, self.clustering = encoder, composite, clustering
        self.localization, self.ks, self.seed = localization, tuple(ks), seed
        self.stability_seeds, self.cache = stability_seeds, cache
        self.foreground: Head | None = None  # judges the tokens, if the localization has any use for it
        self.encoded: dict[str, Activations] = {}  # of images that will come by themselves, by id
        self.seconds: defaultdict[str, float] = defaultdict(float)

    def predict_step(self, batch: Batch, batch_idx: int = 0) -> list[Explanation]:
        """Explains the images of the batch for every K; an empty list if no image was readable.

        Raises:
            nave.encoder.hooks.NonFiniteError: for activations that cannot be clustered.
        """
        if not batch.image_ids:
            return []
        with self._timed("encoder"):
            activations = self._known(batch) or self.encode(batch)
            check_finite(activations, batch.image_ids)
        with torch.autocast(self.device.type, enabled=False):  # reduced precision is for the encoder alone
            clusters = self._clusters(batch, activations)
            with self._timed("localization"):
                return list(self._explanations(batch, activations, clusters))

    def encode(self, batch: Batch) -> Activations:
        """Returns the activations of the batch, from the cache if there is one."""
        if self.cache:
            return self.cache(self.encoder, batch.images)
        activations: Activations = self.encoder(batch.images)
        return activations

    def _known(self, batch: Batch) -> Activations | None:
        """The activations of an image that comes by itself and was encoded before, in the same precision."""
        known = self.encoded.pop(batch.image_ids[0], None) if len(batch.image_ids) == 1 else None
        return None if torch.is_autocast_enabled(self.device.type) else known

    def _explanations(
        self, batch: Batch, activations: Activations, clusters: Sequence[Sequence[ImageClusters]]
    ) -> Iterator[Explanation]:
        tokens = patch_tokens(activations)
        judged = [one.judged(self.foreground, name) for one, name in zip(tokens, batch.image_ids, strict=True)]
        for k, images in zip(self.ks, clusters, strict=True):
            for i, image in enumerate(images):
                labels, localization = self._localized(image.labels, tokens[i], judged[i], batch.sizes[i])
                yield Explanation(
                    image_id=batch.image_ids[i],
                    index=batch.indices[i],
                    size=batch.sizes[i],
                    k=k,
                    labels=labels,
                    centroids=image.centroids,
                    inertia=image.inertia,
                    localization=localization,
                    stability=image.stability,
                )

    def _localized(
        self,
        labels: UInt8[np.ndarray, "H W"] | None,
        tokens: PatchTokens,
        foreground: Foreground | None,
        size: tuple[int, int],
    ) -> tuple[UInt8[np.ndarray, "H W"], Localization]:
        if labels is None or foreground is None:
            return self.localization(labels, tokens, foreground)
        stored = resized(resized(labels, size), tokens.size)  # what the choice is repeated from
        return labels, self.localization(stored, tokens, foreground)[1]

    def _clusters(self, batch: Batch, activations: Activations) -> list[list[ImageClusters]]:
        """Clusters of every image, for every K."""
        if all(k is None for k in self.ks):
            return [[NO_CLUSTERS] * len(batch.image_ids) for _ in self.ks]
        with self._timed("clustering"):
            composite = self.composite(activations)
            return [self._clusters_at(k, batch, activations, composite) for k in self.ks if k is not None]

    def _clusters_at(
        self, k: NumberOfClusters, batch: Batch, activations: Activations, composite: Composite
    ) -> list[ImageClusters]:
        clusters = by_size(cluster(self.clustering, composite, k, image_seeds(batch.image_ids, self.seed)))
        stabilities = self._stability(k, batch, composite, clusters)
        labels = self.composite.labels_at_input(clusters.labels, activations).cpu().numpy()
        centroids = [
            c[: int(image.max()) + 1] for image, c in zip(labels, clusters.centroids.cpu().numpy(), strict=True)
        ]
        images = zip(labels, centroids, clusters.inertia.tolist(), stabilities, strict=True)
        return [ImageClusters(*image) for image in images]

    def _stability(
        self, k: NumberOfClusters, batch: Batch, composite: Composite, clusters: Clusters
    ) -> list[float | None]:
        if not self.stability_seeds:
            return [None] * len(clusters.labels)
        seeds = range(self.seed + 1, self.seed + 1 + self.stability_seeds)
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
    """Returns one seed per image, from its id alone: independent of batch, device and position in the data set."""
    return torch.tensor([seed_of(seed, image_id) for image_id in image_ids])


def by_size(clusters: Clusters) -> Clusters:
    """Renumbers clusters by decreasing number of points, so that equal colours of maps are comparable."""
    K = clusters.centroids.shape[1]
    points = torch.stack([(clusters.labels == k).sum((1, 2)) for k in range(K)], dim=1)
    order = points.argsort(dim=1, descending=True, stable=True)
    rank = order.argsort(dim=1)
    labels = rank.gather(1, clusters.labels.flatten(1).long()).view(clusters.labels.shape)
    centroids = clusters.centroids.gather(1, order[:, :, None].expand_as(clusters.centroids))
    return Clusters(labels.to(torch.uint8), centroids, clusters.inertia, clusters.iterations)
