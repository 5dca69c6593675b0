"""Forms the concepts of a run at one K from the centroids and maps on disk, without images or encoder."""

import json
import logging
from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Literal

import numpy as np
from jaxtyping import Float32, Float64, Int

from nave.metrics.bootstrap import proportion_of
from nave.metrics.class_iou import TooFewCentroidsError, group_centroids, sample_positions
from nave.metrics.concepts import Described, Tally, figures, nearest, number_of_concepts
from nave.processes.distributed import share_of_cores
from nave.processes.pool import Pool
from nave.runs.concepts import Concept, Concepts, Example
from nave.runs.files import write_chunks
from nave.runs.layout import ResultsFolder
from nave.runs.prediction import CURE, Line, lines_at, placed_lines, read_lines
from nave.strict_json import to_json

log = logging.getLogger(__name__)
SAMPLE = 10_000  # centroids that form the concepts of a larger run
BATCH = 64  # images that are described at a time; fewer are not worth processes of their own
PENDING = 2  # batches of each process that wait to be counted


def write_concepts(results: ResultsFolder, asked: int | Literal["auto"], seed: int) -> None:
    """Forms the concepts of a run at one K and writes concepts.json; none if there are too few centroids.

    Raises:
        ValueError: if centroids, a map or a line are damaged, naming the file.
    """
    found = form(results, asked, seed) if asked and results.has_centroids else None
    if found is None:
        results.concepts.unlink(missing_ok=True)
    else:
        write_chunks(results.concepts, (text.encode() for text in _as_json(found)))


def _as_json(found: "Formed") -> Iterator[str]:
    """A :class:`Concepts` as indented JSON, image by image."""
    before, after = to_json(Concepts(concepts=found.concepts, images={}), found.results, indent=2).rsplit("{}", 1)
    yield f"{before}{{"
    for number, (image_id, concepts) in enumerate(found.images()):
        listed = ",".join(f"\n      {concept}" for concept in concepts)
        yield f"{',' if number else ''}\n    {json.dumps(image_id)}: [{listed}\n    ]"
    yield f"\n  }}{after}\n"


@dataclass(frozen=True, eq=False)
class Formed:
    """The concepts of a run at one K, as they are formed.

    Args:
        clusters: Number of the clusters of every image.
        by_cluster: The concept of every cluster, image by image.
    """

    results: ResultsFolder
    concepts: list[Concept]
    clusters: Int[np.ndarray, " N"]
    by_cluster: Int[np.ndarray, " n"]

    def images(self) -> Iterator[tuple[str, list[int]]]:
        """The concepts of the clusters of every image, by image_id."""
        start = 0
        for line, clusters in zip(read_lines(self.results), self.clusters.tolist(), strict=True):
            yield line["image_id"], self.by_cluster[start : start + clusters].tolist()
            start += clusters


def form(results: ResultsFolder, asked: int | Literal["auto"], seed: int) -> Formed | None:
    """The concepts of a run at one K; a sample of centroids and a few bytes of each image are in memory."""
    images = _Images.of(results)
    total = int(images.clusters.sum())
    count = number_of_concepts(asked, total)
    if not count:
        log.info("%s: no concepts, as there are %d centroids only", results.path, total)
        return None
    try:
        grouped = group_centroids([images.sample(SAMPLE, seed)], groups=count, seed=seed)
    except TooFewCentroidsError as error:
        log.info("%s: no concepts (%s)", results.path, error)
        return None
    return _formed(images, np.asarray(grouped.cluster_centers_, np.float64))


@dataclass(frozen=True, eq=False)
class _Images:
    """The images of a run at one K, by their numbers.

    Args:
        clusters: Number of the clusters of each.
    """

    results: ResultsFolder
    starts: Int[np.ndarray, " N"]
    clusters: Int[np.ndarray, " N"]

    @classmethod
    def of(cls, results: ResultsFolder) -> "_Images":
        """Those of the predictions, which are read once."""
        starts, clusters = array("q"), array("q")
        for start, line in placed_lines(results):
            starts.append(start)
            clusters.append(line["clusters"])
        return cls(results, np.array(starts, np.int64), np.array(clusters, np.int64))

    def lines(self, numbers: Sequence[int]) -> Iterator[Line]:
        """The lines of some images."""
        return lines_at(self.results, self.starts[list(numbers)].tolist())

    def sample(self, limit: int, seed: int) -> Float32[np.ndarray, "n D"]:
        """A uniform sample of all centroids, for which only the images that have one of them are read."""
        ends = np.cumsum(self.clusters)
        positions = sample_positions(int(ends[-1]), limit, seed)
        in_order = np.argsort(positions)
        numbers, firsts = np.unique(np.searchsorted(ends, positions[in_order], side="right"), return_index=True)
        rows = np.split(positions[in_order], firsts[1:])
        found: list[Float32[np.ndarray, "_ D"]] = []
        for line, number, own in zip(self.lines(numbers.tolist()), numbers, rows, strict=True):
            centroids = self.results.read_centroids(line["image_id"])
            width = found[0].shape[1] if found else centroids.shape[1]
            _check(self.results, line["image_id"], centroids, int(self.clusters[number]), width)
            found.append(centroids[own - (ends - self.clusters)[number]])
        sample = np.concatenate(found)
        return sample[np.argsort(in_order)]


def _check(
    results: ResultsFolder, image_id: str, centroids: Float32[np.ndarray, "K D"], clusters: int, width: int
) -> None:
    if clusters > len(centroids) or centroids.shape[1] != width:
        raise ValueError(f"{results.centroids(image_id)}: {centroids.shape} for {clusters} clusters: {CURE}")


def _formed(images: _Images, centres: Float64[np.ndarray, "M D"]) -> Formed:
    """Numbers the concepts by the images that show them, then by area."""
    tally, clusters, concepts = Tally(len(centres)), array("q"), array("q")

    def count(batches: list[Described]) -> None:
        for described in batches:
            tally.add(described)
            clusters.extend(described.clusters.tolist())
            concepts.extend(described.concepts.tolist())

    _describe(Describer(images, centres), count)
    order = tally.order()
    return Formed(
        images.results,
        [_concept(images, tally, old) for old in order.tolist()],
        np.array(clusters, np.int64),
        np.argsort(order)[np.array(concepts, np.int64)],
    )


def _describe(describer: "Describer", take: Callable[[list[Described]], None]) -> None:
    """Describes all images, some at a time, in several processes."""
    images = len(describer.images.starts)
    batches = (range(first, min(first + BATCH, images)) for first in range(0, images, BATCH))
    processes = 0 if images < BATCH else share_of_cores(1)
    pool = Pool(describer, take, processes=processes, pending=PENDING)
    try:
        while some := list(islice(batches, max(1, processes))):
            pool.submit(some)
        pool.finish()
    except BaseException:
        pool.abandon()
        raise


@dataclass(frozen=True, eq=False)
class Describer:
    """Describes some images; called in any process."""

    images: _Images
    centres: Float64[np.ndarray, "M D"]

    def __call__(self, numbers: range) -> Described:
        """Raises ValueError if a map and its centroids do not belong together."""
        parts = [self._described(line) for line in self.images.lines(numbers)]
        concepts, distances, tables = zip(*parts, strict=True)
        clusters = np.array([len(own) for own in concepts])
        return Described(clusters, np.concatenate(concepts), np.concatenate(distances), np.stack(tables))

    def _described(
        self, line: Line
    ) -> tuple[Int[np.ndarray, " K"], Float64[np.ndarray, " K"], Float64[np.ndarray, "M 4"]]:
        """Concepts and distances of the clusters of one image, and the figures of every concept."""
        results, image_id = self.images.results, line["image_id"]
        labels, centroids = results.read_map(image_id), results.read_centroids(image_id)
        _check(results, image_id, centroids, int(labels.max()) + 1, self.centres.shape[1])
        concepts, distances = nearest(centroids, self.centres)
        shown = [bool((labels == cluster).any()) for cluster in range(len(centroids))]
        distances = np.where(shown, distances, np.inf)  # others were lost on the way to the image's own size
        return concepts, distances, figures(labels, concepts, len(self.centres), np.array(line["box"], float))


def _concept(images: _Images, tally: Tally, number: int) -> Concept:
    area, border, central, foreground = (round(100 * mean, 4) for mean in tally.means()[number].tolist())
    examples = tally.examples(number)
    lines = images.lines([image for image, _, _ in examples])
    return Concept(
        frequency=proportion_of(int(tally.shown[number]), tally.images),
        area=area,
        border=border,
        central=central,
        foreground=foreground,
        examples=[
            Example(image_id=line["image_id"], cluster=cluster, distance=float(f"{distance:.4g}"))
            for line, (_, cluster, distance) in zip(lines, examples, strict=True)
        ],
    )
