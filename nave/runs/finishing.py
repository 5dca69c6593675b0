"""From the clusters of an image to its boxes, its map and its line of predictions, on disk; called in any process."""

import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Int, UInt8

from nave.data.content import Content
from nave.data.interface import Dataset, GroundTruth, Masked
from nave.data.watermark import Watermarked
from nave.localization.interface import Localizer, resized
from nave.localization.on_object import object_share
from nave.metrics.segmentation import BACKGROUND, IGNORE, contingency, contingency_scores
from nave.metrics.unlabelled import cluster_areas, cluster_balance, spatial_coherence
from nave.module import ClusteredImage, Explanation
from nave.runs.choice import chosen, plain, rounded
from nave.runs.files import create_bytes, encoded, npy
from nave.runs.journal import Journal
from nave.runs.layout import BY_IMAGE, CENTROIDS, MAPS, K
from nave.runs.notes import Note
from nave.runs.packing import Member, member
from nave.runs.prediction import Line, MapLine, SegmentationLine, TruthLine
from nave.viz.overlay import indexed
from nave.viz.palette import align

FAST = {"compress_level": 1, "compress_type": zlib.Z_RLE}  # of PNGs; for maps smaller than Pillow's default at level 3


class WritingError(RuntimeError):
    """An image could not be finished; the message names it."""


class Finished(NamedTuple):
    """An image at every K: its lines for the journal, and the seconds that it took, by stage.

    Its files exist, or are ``packed``, by their kinds, for the process that appends to shards.
    """

    image_id: str
    over_k: list[tuple[K, bytes, dict[str, Member]]]
    seconds: dict[str, float]


class Task(NamedTuple):
    """An image as it leaves the device, and what its batch knows of it."""

    image: ClusteredImage
    truth: GroundTruth | None
    content: Content | None


@dataclass(frozen=True)
class Finisher:
    """Turns the clusters of an image into its boxes and files; called in any process.

    Args:
        journal: Journal of the run, in whose folder the results are written.
        rank: Of the process in whose name the image is noted.
        dataset: Data set of the images.
        centroids: Whether to keep those of every image.
        packed: Whether maps and centroids go into shards, and not to files of their own.
    """

    journal: Journal
    rank: int
    dataset: Dataset
    localization: Localizer
    centroids: bool = False
    packed: bool = False

    def __call__(self, task: Task) -> Finished:
        """Localizes, scores and writes one image.

        Raises:
            WritingError: If that fails, naming the image.
        """
        start = time.perf_counter()
        try:
            explanations = task.image.explained(self.localization)
            localized = time.perf_counter()
            over_k = [
                (note["k"], self.journal.lines(self.rank, with_content(note, task.content)), members)
                for note, members in self.write(explanations, task.truth)
            ]
        except Exception as error:
            raise WritingError(f"{task.image.image_id}: {error}") from error
        seconds = {"localization": localized - start, "writing": time.perf_counter() - localized}
        return Finished(task.image.image_id, over_k, seconds)

    def write(
        self, explanations: Sequence[Explanation], truth: GroundTruth | None
    ) -> Iterator[tuple[Note, dict[str, Member]]]:
        """Writes the files of one image over K, or packs them; yields the notes of what exists, and what is packed."""
        palettes = align([explanation.labels for explanation in explanations])
        masks = self._masks(explanations[0].index)
        for explanation, palette_index in zip(explanations, palettes, strict=True):
            labels, line = at_original_size(explanation), line_of(explanation, truth)
            self._describe(line, labels, masks, explanation.index)
            if masks is not None:
                note_objects(line, explanation, masks[0])
            files = {MAPS: encoded(indexed(labels, palette_index), "PNG", **FAST)}
            needed = self.centroids or "segmentation" in line or "watermark" in line  # class mIoU, comparisons
            if needed and explanation.centroids.size:
                files[CENTROIDS] = npy(explanation.centroids)
            packed = self._keep(explanation, files)
            yield Note(index=explanation.index, k=explanation.k, line=line), packed

    def _keep(self, explanation: Explanation, files: Mapping[str, bytes]) -> dict[str, Member]:
        """Writes the files of one image at one K, by their kinds, or returns them packed."""
        image_id = explanation.image_id
        if self.packed:
            return {kind: member(f"{image_id}{BY_IMAGE[kind]}", content) for kind, content in files.items()}
        results = self.journal.folder.at(explanation.k, self.journal.ks)
        for kind, content in files.items():
            create_bytes(results.of_image(kind, image_id), content)  # noted, and so believed, when it is whole
        if CENTROIDS not in files and explanation.k in self._with_centroids:
            results.centroids(image_id).unlink(missing_ok=True)
        return {}

    @cached_property
    def _with_centroids(self) -> frozenset[K]:
        """Where an earlier attempt has left centroids, which this one may have no use for."""
        journal = self.journal
        return frozenset(k for k in journal.ks if (journal.folder.at(k, journal.ks).path / CENTROIDS).exists())

    @cached_property
    def _masked(self) -> Masked | None:
        return self.dataset if isinstance(self.dataset, Masked) else None  # a protocol, which takes time to recognise

    def _masks(self, index: int) -> tuple[Any, Any] | None:
        """The masks of classes and objects of an image that has them."""
        if self._masked is None or (mask := self._masked.mask(index)) is None:
            return None
        return mask, self._masked.object_mask(index)

    def _describe(
        self, line: Line, labels: UInt8[np.ndarray, "H W"], masks: tuple[Any, Any] | None, index: int
    ) -> None:
        """Adds to a line what only those of images with masks or watermarks say."""
        if masks is not None and self._masked is not None:
            line["segmentation"] = agreement(labels, *masks, self._masked.mask_classes())
        if isinstance(self.dataset, Watermarked) and (region := self.dataset.region(index)) is not None:
            line["watermark"] = list(region)


def note_objects(line: Line, explanation: Explanation, mask: Int[np.ndarray, "H W"]) -> None:
    """Adds to every component of a line how much of it shows an object."""
    objects = np.where(mask == IGNORE, IGNORE, mask != BACKGROUND).astype(np.uint8)
    at_map = resized(objects, (explanation.labels.shape[0], explanation.labels.shape[1]))
    for noted, (component, _) in zip(line["components"], explanation.localization.components, strict=True):
        share = object_share(explanation.labels, at_map, component)
        if share is not None:
            noted["object"] = rounded(share)


def with_content(note: Note, content: Content | None) -> Note:
    """The note of an image with what the image was read from, if that is known."""
    return note if content is None else Note(**note, content=content)


def at_original_size(explanation: Explanation) -> UInt8[np.ndarray, "H W"]:
    """The map at the original image's size, by nearest neighbour."""
    return resized(explanation.labels, explanation.size)


def line_of(explanation: Explanation, truth: GroundTruth | None) -> Line:
    """The line of one explanation, its boxes scaled to the original image."""
    height, width = explanation.size
    labels = explanation.labels
    map_height, map_width = labels.shape
    areas = cluster_areas(labels)
    clusters = len(areas)
    k = max(len(explanation.centroids), clusters)  # a baseline has no centroids
    scale = (width / map_width, height / map_height)
    boxes = chosen(explanation.localization, scale)
    line = Line(
        image_id=explanation.image_id,
        width=width,
        height=height,
        k=explanation.k,
        clusters=clusters,
        inertia=None if explanation.inertia is None else rounded(explanation.inertia),
        box=boxes["box"],
        components=boxes["components"],
        map=MapLine(
            balance=rounded(cluster_balance(labels, k, areas)),
            coherence=rounded(spatial_coherence(labels, areas)),
            stability=None if explanation.stability is None else rounded(explanation.stability),
        ),
        truth=None if truth is None else _truth(truth),
    )
    line.update(boxes)  # type: ignore[typeddict-item] # the keys are those of a line
    return line


def agreement(
    labels: UInt8[np.ndarray, "H W"],
    mask: Int[np.ndarray, "H W"],
    objects: Int[np.ndarray, "H W"] | None,
    names: Mapping[int, str],
) -> SegmentationLine:
    """Agreement of a map with the masks of classes and objects.

    Args:
        mask: Class ids; 255 is ignored.
        objects: Object ids; 255 is ignored. None if the data set has none.
        names: Names of the class ids.
    """
    counts = contingency(labels, mask)
    scores = contingency_scores(counts)
    return SegmentationLine(
        miou=scores["miou"],
        ari=scores["ari"],
        nmi=scores["nmi"],
        object_miou=None if objects is None else contingency_scores(contingency(labels, objects))["miou"],
        classes=counts.regions.tolist(),
        names=[names.get(region) for region in counts.regions.tolist()],
        pixels=counts.table.tolist(),
    )


def _truth(truth: GroundTruth) -> TruthLine:
    boxes = [[plain(side) for side in box] for box in truth.boxes.tolist()]
    return TruthLine(boxes=boxes, classes=list(truth.classes), hard=list(truth.hard))
