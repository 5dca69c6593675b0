"""concepts.json: the concepts of a run at one K, from the centroids and maps on disk, without images or encoder."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, TypedDict

import numpy as np
from jaxtyping import Float64, Int

from nave.metrics.bootstrap import Score, proportion
from nave.metrics.class_iou import TooFewCentroidsError, group_centroids
from nave.metrics.concepts import FIGURES, figures, nearest, number_of_concepts
from nave.processes.distributed import share_of_cores
from nave.processes.pool import each
from nave.runs.layout import ResultsFolder, read_json, write_json
from nave.runs.prediction import CURE, read_lines
from nave.strict_json import checked

log = logging.getLogger(__name__)

EXAMPLES = 6  # regions that show a concept best
SAMPLE = 10_000  # centroids that form the concepts of a larger run
FEW = 64  # images that are not worth processes of their own


class Example(TypedDict):
    """A region that shows a concept: a cluster of an image, and how far its centroid is from the concept's centre."""

    image_id: str
    cluster: int
    distance: float


class Concept(TypedDict):
    """A concept: the images that show it, as a percentage, and its mean figures over these, in percent.

    See :func:`nave.metrics.concepts.figures`. The examples are those next to the centre, at most one an image.
    """

    frequency: Score
    area: float
    border: float
    central: float
    foreground: float
    examples: list[Example]


class Concepts(TypedDict):
    """The concepts, the most frequent first, and the concept of every cluster, by image_id."""

    concepts: list[Concept]
    images: dict[str, list[int]]


def write_concepts(results: ResultsFolder, asked: int | Literal["auto"], seed: int) -> None:
    """Forms the concepts of a run at one K and writes concepts.json; none if there are too few centroids.

    Raises:
        ValueError: if centroids, a map or a line are damaged, naming the file.
    """
    found = form(results, asked, seed) if asked and results.has_centroids else None
    if found is None:
        results.concepts.unlink(missing_ok=True)
    else:
        write_json(results.concepts, found)


def read_concepts(results: ResultsFolder) -> Concepts | None:
    """The concepts of a run at one K; None if it has none.

    Raises:
        ValueError: if the file is damaged, naming it.
    """
    path = results.concepts
    if not path.is_file():
        return None
    found: Concepts = checked(read_json(path), Concepts, path, "score the run again (python -m nave.evaluate FOLDER)")
    return found


def form(results: ResultsFolder, asked: int | Literal["auto"], seed: int) -> Concepts | None:
    """The concepts of a run at one K; only a sample of centroids and a few numbers of each image are in memory."""
    images = [_Image(line["image_id"], line["box"]) for line in read_lines(results)]
    clusters = sum(line["clusters"] for line in read_lines(results))
    count = number_of_concepts(asked, clusters)
    if not count:
        log.info("%s: no concepts, as there are %d centroids only", results.path, clusters)
        return None
    try:
        centroids = (results.read_centroids(image.image_id) for image in images)
        centres = group_centroids(centroids, groups=count, seed=seed, limit=SAMPLE).cluster_centers_
    except TooFewCentroidsError as error:
        log.info("%s: no concepts (%s)", results.path, error)
        return None
    describer = Describer(results, np.asarray(centres, np.float64))
    described = each(describer, images, processes=0 if len(images) < FEW else share_of_cores(1))
    return _concepts(images, described, count)


class _Image(NamedTuple):
    image_id: str
    box: Sequence[float]


class Described(NamedTuple):
    """One image: the concepts of its clusters with their distances, and the figures of every concept."""

    concepts: Int[np.ndarray, " K"]
    distances: Float64[np.ndarray, " K"]
    figures: Float64[np.ndarray, "M 4"]


@dataclass(frozen=True)
class Describer:
    """Describes one image; called in any process.

    Args:
        results: Where its map and centroids are.
        centres: Those of the concepts.
    """

    results: ResultsFolder
    centres: Float64[np.ndarray, "M D"]

    def __call__(self, image: _Image) -> Described:
        """Raises ValueError if its map and centroids do not belong together."""
        labels, centroids = self.results.read_map(image.image_id), self.results.read_centroids(image.image_id)
        if labels.max() >= len(centroids) or centroids.shape[1] != self.centres.shape[1]:
            file = self.results.centroids(image.image_id)
            raise ValueError(f"{file}: {centroids.shape} for {labels.max() + 1} clusters: {CURE}")
        concepts, distances = nearest(centroids, self.centres)
        distances[~np.isin(np.arange(len(centroids)), labels)] = np.inf  # lost on the way to the image's own size
        return Described(concepts, distances, figures(labels, concepts, len(self.centres), np.array(image.box, float)))


def _concepts(images: Sequence[_Image], described: Sequence[Described], count: int) -> Concepts:
    """Numbers the concepts by the images that show them, then by area."""
    table = np.stack([image.figures for image in described])
    present = ~np.isnan(table[:, :, 0])
    area = np.where(present, table[:, :, 0], 0).sum(axis=0)
    order = np.lexsort((np.arange(count), -area, -present.sum(axis=0)))
    rank = np.argsort(order)
    return Concepts(
        concepts=[
            _concept(present[:, old], table[:, old], list(_examples(images, described, old))) for old in order.tolist()
        ],
        images={image.image_id: rank[own.concepts].tolist() for image, own in zip(images, described, strict=True)},
    )


def _concept(present: Any, table: Float64[np.ndarray, "N 4"], examples: list[Example]) -> Concept:
    means = table[present].mean(axis=0) if present.any() else np.zeros(len(FIGURES))
    area, border, central, foreground = (round(100 * float(mean), 4) for mean in means)
    return Concept(
        frequency=proportion(present),
        area=area,
        border=border,
        central=central,
        foreground=foreground,
        examples=examples,
    )


def _examples(images: Sequence[_Image], described: Sequence[Described], concept: int) -> Iterator[Example]:
    """The nearest cluster of each image, the nearest images first."""
    nearest_of = []
    for number, own in enumerate(described):
        distances = np.where(own.concepts == concept, own.distances, np.inf)
        if np.isfinite(distances).any():
            nearest_of.append((float(distances.min()), number, int(distances.argmin())))
    for distance, number, cluster in sorted(nearest_of)[:EXAMPLES]:
        yield Example(image_id=images[number].image_id, cluster=cluster, distance=float(f"{distance:.4g}"))
