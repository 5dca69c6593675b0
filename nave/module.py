"""The Lightning module, whose ``predict_step`` encodes and clusters a batch of images on the device."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import partial
from itertools import islice

import numpy as np
import torch
from jaxtyping import Float, UInt8
from lightning import LightningModule
from torch import Tensor

from nave.clustering.interface import Clustering, Clusters, cluster
from nave.clustering.number import NumberOfClusters
from nave.composite.composer import Composer
from nave.composite.composite import Composite
from nave.data.batch import Batch
from nave.data.seed import seed_of
from nave.encoder.activation_cache import ActivationCache
from nave.encoder.encoder import Encoder
from nave.encoder.hooks import Activations, check_finite
from nave.localization.foreground import Foreground, Head
from nave.localization.interface import Localization, Localizer, Map, PatchTokens, patch_tokens, resized
from nave.metrics.unlabelled import stability
from nave.processes.device import Moment, Stages, on_host


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
    """The clusters of one image for one K; without labels for a method that needs none."""

    k: NumberOfClusters | None
    labels: UInt8[np.ndarray, "H W"] | None = None
    centroids: Float[np.ndarray, "K D"] = field(default_factory=lambda: np.empty((0, 0), np.float32))
    inertia: float | None = None
    over_seeds: tuple[UInt8[np.ndarray, "_h _w"], ...] = ()  # maps from several seeds, if their stability is asked for


@dataclass(frozen=True, eq=False)
class ClusteredImage:
    """One image as it leaves the device, for every K; what is left to do needs neither device nor other images."""

    image_id: str
    index: int
    size: tuple[int, int]
    over_k: tuple[ImageClusters, ...]
    tokens: PatchTokens | None
    foreground: Foreground | None = None

    def explained(self, localization: Localizer) -> list[Explanation]:
        """The map and the boxes for every K."""
        return [self._explanation(clusters, localization) for clusters in self.over_k]

    def _explanation(self, clusters: ImageClusters, localization: Localizer) -> Explanation:
        labels, found = self._localized(clusters.labels, localization)
        return Explanation(
            image_id=self.image_id,
            index=self.index,
            size=self.size,
            k=clusters.k,
            labels=labels,
            centroids=clusters.centroids,
            inertia=clusters.inertia,
            localization=found,
            stability=stability(clusters.over_seeds) if clusters.over_seeds else None,
        )

    def _localized(self, labels: Map | None, localization: Localizer) -> tuple[Map, Localization]:
        """The map and its boxes; a head chooses on the map as it is stored, from which the choice can be repeated."""
        if labels is None or self.foreground is None:
            return localization(labels, self.tokens)
        stored = resized(resized(labels, self.size), labels.shape)
        return labels, localization(stored, self.tokens, self.foreground)[1]


class Explainer(LightningModule):
    """Explains images one by one: activations -> composite -> clusters -> boxes. Nothing is trained.

    Args:
        encoder: reads the layers that ``localization`` needs.
        composite: how layers are upsampled, normalised and weighted.
        ks: as returned by :meth:`nave.localization.interface.Localizer.ks`.
        seed: of the run; each image's own seed is derived from it and the image's id.
        stability_seeds: number of further seeds for the stability of maps; 0 computes none.
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
        self.stages = Stages()

    @property
    def ahead(self) -> int:
        """Batches that are best encoded before one is clustered: a GPU works on both at once."""
        return 1 if self.device.type == "cuda" else 0

    def explain(self, batch: Batch) -> list[Explanation]:
        """Explains the images of the batch, each for every K; as :meth:`predict_step` and what is left to do."""
        return [one for image in self.predict_step(batch)() for one in image.explained(self.localization)]

    def predict_step(self, batch: Batch, batch_idx: int = 0) -> Callable[[], list[ClusteredImage]]:
        """Encodes the batch; returns a function that clusters its images for every K.

        A GPU computes that function's work beside the encoder's if the next batch is encoded before it is called. It
        raises :class:`nave.encoder.hooks.NonFiniteError` for activations that cannot be clustered, and returns an empty
        list if no image was readable.
        """
        if not batch.image_ids:
            return list
        with self._timed("encoder"):
            activations = self._encoded_before(batch) or self.encode(batch)
        return partial(self._clustered, batch, activations, Moment(self.device))

    def _clustered(self, batch: Batch, activations: Activations, encoded: Moment) -> list[ClusteredImage]:
        # reduced precision is for the encoder alone
        with encoded.beside(), torch.autocast(self.device.type, enabled=False):
            check_finite(activations, batch.image_ids)
            by_k = self._clusters(batch, activations)
            tokens = patch_tokens(activations) if self.localization.reads_tokens else [None] * len(batch.image_ids)
            judged = self._judged(activations, batch.image_ids)
        images = zip(batch.image_ids, batch.indices, batch.sizes, zip(*by_k, strict=True), tokens, judged, strict=True)
        return [ClusteredImage(*image) for image in images]

    def encode(self, batch: Batch) -> Activations:
        """Returns the activations of the batch, from the cache if there is one."""
        if self.cache:
            return self.cache(self.encoder, batch.images)
        activations: Activations = self.encoder(batch.images)
        return activations

    def _encoded_before(self, batch: Batch) -> Activations | None:
        """The activations of an image that comes by itself and was encoded before, in the same precision."""
        known = self.encoded.pop(batch.image_ids[0], None) if len(batch.image_ids) == 1 else None
        return None if torch.is_autocast_enabled(self.device.type) else known

    def _judged(self, activations: Activations, image_ids: Sequence[str]) -> list[Foreground] | list[None]:
        """What the foreground head says of every image, judged where the tokens are."""
        if self.foreground is None:
            return [None] * len(image_ids)
        with self._timed("foreground"):
            tokens = patch_tokens(activations, activations.last.device)
            steps = on_host([self.foreground(one.tokens, name) for one, name in zip(tokens, image_ids, strict=True)])
        return [Foreground(grid, one.patch) for grid, one in zip(steps, tokens, strict=True)]

    def _clusters(self, batch: Batch, activations: Activations) -> list[list[ImageClusters]]:
        """Clusters of every image, for every K."""
        ks = [k for k in self.ks if k is not None]
        if not ks:
            return [[ImageClusters(None)] * len(batch.image_ids) for _ in self.ks]
        with self._timed("clustering"):
            composite = self.composite(activations)
            by_k = [self._clusters_at(k, batch, activations, composite) for k in ks]
            arrays = iter(on_host([tensor for tensors in by_k for tensor in tensors]))
        return [_by_image(k, *islice(arrays, len(by_k[0]))) for k in ks]

    def _clusters_at(
        self, k: NumberOfClusters, batch: Batch, activations: Activations, composite: Composite
    ) -> list[Tensor]:
        """Labels, centroids and inertia, then the labels from several seeds if their stability is asked for."""
        clusters = by_size(cluster(self.clustering, composite, k, image_seeds(batch.image_ids, self.seed)))
        seeds = range(self.seed + 1, self.seed + 1 + self.stability_seeds)
        others = [cluster(self.clustering, composite, k, image_seeds(batch.image_ids, seed)).labels for seed in seeds]
        labels = self.composite.labels_at_input(clusters.labels, activations)
        over_seeds = [clusters.labels, *others] if others else []
        return [labels, clusters.centroids, clusters.inertia, *over_seeds]

    def _timed(self, stage: str) -> AbstractContextManager[None]:
        return self.stages.timed(stage, self.device)


def _by_image(
    k: NumberOfClusters,
    labels: UInt8[np.ndarray, "B H W"],
    centroids: Float[np.ndarray, "B K D"],
    inertia: Float[np.ndarray, " B"],
    *over_seeds: UInt8[np.ndarray, "B _h _w"],
) -> list[ImageClusters]:
    """The clusters of every image; centroids without those of empty clusters."""
    images = zip(labels, centroids, inertia.tolist(), *over_seeds, strict=True)
    return [
        ImageClusters(k, own, means[: int(own.max()) + 1], error, tuple(maps)) for own, means, error, *maps in images
    ]


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
