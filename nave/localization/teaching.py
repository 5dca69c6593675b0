"""How a run learns its foreground head from a sample of its own images, or which ready one it takes."""

import hashlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from itertools import combinations
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float32, UInt8
from scipy import ndimage

from nave.clustering.interface import cluster
from nave.data.batch import Batch, load_batch
from nave.data.datamodule import ImageModule
from nave.localization.foreground import Card, Head, fit, normalised
from nave.localization.interface import PatchTokens, patch_tokens
from nave.localization.nave import Nave
from nave.localization.objectness import Objectness, border_shares
from nave.module import Explainer, by_size, image_seeds

log = logging.getLogger(__name__)

IMAGES, FEWEST = 128, 48  # that teach a head; fewer than FEWEST do not
FOLDS = 2
K = 3  # clusters of the regions that teach
TOKENS = 256  # of an image, at regular distances
KEPT = 2**19  # numbers of an image's activations up to which they are kept for the run: 256 MiB in all
HEADS = Path(str(files("nave.localization"))) / "heads"


@dataclass(frozen=True, eq=False)
class Lesson:
    """What one image teaches."""

    image_id: str
    tokens: Float32[np.ndarray, "n C"]
    inside: Bool[np.ndarray, " n"]


@dataclass(frozen=True)
class Rule:
    """Today's rule for the one box, as a mask: the region of one cluster or two with the highest objectness."""

    objectness: Objectness
    min_area: int

    @classmethod
    def of(cls, localization: Nave) -> "Rule":
        """The rule with the options of NAVE's localization."""
        return cls(Objectness(localization.sigma, localization.border_penalty), localization.min_area)

    def __call__(self, labels: UInt8[np.ndarray, "H W"]) -> Bool[np.ndarray, "H W"]:
        """Returns the pixels of the region; none if no region is large enough."""
        prior = np.outer(*self.objectness.prior(labels.shape))
        border = border_shares(labels, int(labels.max()) + 1)
        best, region = -np.inf, np.zeros(labels.shape, bool)
        single = [(cluster,) for cluster in range(len(border))]
        for clusters in (*single, *combinations(range(len(border)), 2)):
            ids, count = ndimage.label(np.isin(labels, clusters))
            area = np.bincount(ids.ravel(), minlength=count + 1)[1:]
            centred = np.bincount(ids.ravel(), prior.ravel(), minlength=count + 1)[1:]
            share = np.full(count, border[list(clusters)].sum())
            large = area > self.min_area
            scores = np.where(large, self.objectness(centred, share, np.maximum(area, 1) / labels.size), -np.inf)
            if count and scores.max() > best:
                best, region = scores.max(), ids == scores.argmax() + 1
        return region


def learn(explainer: Explainer, images: ImageModule, rule: Rule, card: Card) -> Head | None:
    """Learns a head from at most ``IMAGES`` images at regular distances in the data set, dealt to the folds in turn.

    Each is encoded by itself, so neither batches nor processes change the head.

    Returns:
        The head; None if fewer than ``FEWEST`` images can be read.
    """
    if len(chosen := sample(images)) < FEWEST:
        return None
    digest = hashlib.sha256()
    keep = images.one_by_one(explainer.device)
    lessons = [_lesson(explainer, batch, rule, keep) for batch in _read(images, chosen, digest)]
    if len(lessons) < FEWEST:
        return None
    folds = [lessons[fold::FOLDS] for fold in range(FOLDS)]
    rows = [fit([one.tokens for one in fold], [one.inside for one in fold]) for fold in folds]
    ids = [[one.image_id for one in fold] for fold in folds]
    return Head(np.stack(rows).astype(np.float32), Card(**{**card, "images": ids, "pixels_sha256": digest.hexdigest()}))


def pixels_sha256(images: ImageModule) -> str:
    """Hash of the images that would teach a head now."""
    digest = hashlib.sha256()
    for _ in _read(images, sample(images), digest):
        pass
    return digest.hexdigest()


def sample(images: ImageModule) -> list[int]:
    """Positions in the data set of the images that teach, whatever is finished already."""
    count = min(len(images.dataset), images.limit or len(images.dataset))
    return [index * count // min(count, IMAGES) for index in range(min(count, IMAGES))]


def _read(images: ImageModule, indices: list[int], digest: "hashlib._Hash") -> Iterator[Batch]:
    for index in indices:
        batch = load_batch(images.dataset, [index], images.input_size)
        if batch.image_ids:
            digest.update(f"{batch.image_ids[0]} {tuple(batch.images.shape)}\n".encode())
            digest.update(batch.images.numpy().tobytes())
            yield batch


@torch.inference_mode()
def _lesson(explainer: Explainer, batch: Batch, rule: Rule, keep: bool) -> Lesson:
    batch = batch.to(explainer.device)
    activations = explainer.encode(batch)
    size = sum(grid.numel() for grid in activations.grids.values())
    if keep and size <= KEPT:
        explainer.encoded[batch.image_ids[0]] = activations
    composite = explainer.composite(activations)
    clusters = by_size(cluster(explainer.clustering, composite, K, image_seeds(batch.image_ids, explainer.seed)))
    labels = explainer.composite.labels_at_input(clusters.labels, activations)[0].cpu().numpy()
    tokens = patch_tokens(activations)[0]
    inside = covered(rule(labels), tokens) > 0.5
    rows = normalised(tokens.tokens).flatten(1).T.cpu().numpy()
    taken = np.arange(0, len(rows), max(len(rows) // TOKENS, 1))
    return Lesson(batch.image_ids[0], rows[taken], inside.ravel()[taken])


def covered(mask: Bool[np.ndarray, "H W"], tokens: PatchTokens) -> Float32[np.ndarray, "h w"]:
    """Returns the share of every token's pixels, as far as they lie in the image, that the mask covers."""
    starts = [
        np.maximum(np.ceil(np.arange(count) * pixels - 0.5), 0).astype(np.int64)
        for count, pixels in zip(tokens.tokens.shape[1:], tokens.patch, strict=True)
    ]
    total = np.add.reduceat(np.add.reduceat(mask.astype(np.int64), starts[0], axis=0), starts[1], axis=1)
    rows, columns = (np.diff(np.append(start, side)) for start, side in zip(starts, mask.shape, strict=True))
    share: Float32[np.ndarray, "h w"] = (total / (rows[:, None] * columns)).astype(np.float32)
    return share


def ready(card: Card) -> Head | None:
    """The head for this encoder that comes with the package, if there is one."""
    if card["weights_sha256"] is None:
        return None
    path = HEADS / f"{card['weights_sha256'][:16]}-{card['layer']}.safetensors"
    return Head.read(path).check(card, path) if path.is_file() else None
