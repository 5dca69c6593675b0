"""The callback that hands clustered images to other processes, which turn them into boxes, maps and predictions."""

import math
import time
import zlib
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Int, UInt8
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback

from nave.data.datamodule import Batch
from nave.data.interface import Content, Dataset, GroundTruth, Masked
from nave.data.watermark import Watermarked
from nave.localization.foreground import Foreground
from nave.localization.interface import Localizer, resized
from nave.localization.on_object import object_share
from nave.localization.switch import OFF
from nave.metrics.segmentation import BACKGROUND, IGNORE, contingency, contingency_scores
from nave.metrics.unlabelled import cluster_balance, spatial_coherence
from nave.module import ClusteredImage, Explanation
from nave.processes.distributed import share_of_cores
from nave.processes.pool import CHUNK, FEW, Pool
from nave.runs.choice import chosen, plain, rounded
from nave.runs.journal import Journal, Note, Unreadable
from nave.runs.layout import write_image
from nave.runs.prediction import Line, MapLine, SegmentationLine, TruthLine
from nave.viz.overlay import indexed
from nave.viz.palette import align

PENDING = 4  # batches waiting to be finished
FAST = {"compress_level": 1, "compress_type": zlib.Z_RLE}  # of PNGs; for maps smaller than Pillow's default at level 3


class WritingError(RuntimeError):
    """An image could not be finished; the message names it."""


class Finished(NamedTuple):
    """An image whose files exist: its lines for the journal, and the seconds that it took, by stage."""

    lines: bytes
    seconds: dict[str, float]


class Task(NamedTuple):
    """An image as it leaves the device, and what its batch knows of it."""

    image: ClusteredImage
    truth: GroundTruth | None
    content: Content | None


class Writer(Callback):
    """Finishes each image in other processes; its notes in the journal come last, when all files exist.

    Not a ``BasePredictionWriter``, which requires Lightning's own sampler, while the loader here assigns whole batches.

    Args:
        journal: Journal of the run, in whose folder the results are written.
        dataset: Data set of the images.
        localization: NAVE or a baseline.
        images: Number of images to come over all processes of the job.
        centroids: Whether to keep those of every image, which form concepts.
    """

    def __init__(
        self, journal: Journal, dataset: Dataset, localization: Localizer, images: int, centroids: bool = False
    ) -> None:
        self.journal, self.dataset, self.localization, self.images = journal, dataset, localization, images
        self.centroids = centroids
        self.seconds = {"localization": 0.0, "writing": 0.0}
        self._encoded = deque[tuple[Callable[[], list[ClusteredImage]], Batch]]()

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Starts the processes: before the first image, and before the data loader starts its threads."""
        self._finisher = Finisher(self.journal, trainer.global_rank, self.dataset, self.localization, self.centroids)
        if not self.localization.reads_tokens:
            labels, judged = np.zeros((2, 2), np.uint8), Foreground(np.ones((1, 1), np.int8), (2.0, 2.0))
            self.localization(labels, None, *([judged] if self.localization.foreground != OFF else []))  # compiles once
        share = self.images / trainer.world_size
        processes = 0 if share < FEW else min(share_of_cores(trainer.num_devices), math.ceil(share / CHUNK))
        self._pool = Pool(self._finisher, self._note, processes=processes, pending=PENDING)

    def on_predict_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Batch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Hands the batch to the processes; on a GPU the one before, clustered while this one is encoded."""
        for index, image_id, reason in batch.unreadable:
            note = Note(index=index, unreadable=Unreadable(image_id=image_id, reason=reason))
            self.journal.append(trainer.global_rank, with_content(note, batch.contents.get(index)))
        self._encoded.append((outputs, batch))
        self._hand_over(keep=1 if batch.images.is_cuda else 0)

    def on_predict_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Waits until everything is written."""
        self._hand_over(keep=0)
        self._pool.drain()

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Ends the processes."""
        self._pool.finish()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Writes the batches that wait, unless clustering or writing is what failed: they would be computed again."""
        if hasattr(self, "_pool"):
            with suppress(Exception):  # the error that has ended the run is on its way
                self._hand_over(keep=0)
            with suppress(Exception):
                self._pool.finish()

    def _hand_over(self, keep: int) -> None:
        """Clusters the encoded batches but the last ``keep``, and hands them to the processes."""
        while len(self._encoded) > keep:
            clustered, batch = self._encoded.popleft()
            tasks = zip(clustered(), batch.truths, strict=True)
            self._pool.submit([Task(image, truth, batch.contents.get(image.index)) for image, truth in tasks])

    def _note(self, finished: Finished) -> None:
        self.journal.append_lines(self._finisher.rank, finished.lines)
        for stage, seconds in finished.seconds.items():
            self.seconds[stage] += seconds


@dataclass(frozen=True)
class Finisher:
    """Turns the clusters of an image into its boxes and files; called in any process.

    Args:
        journal: Journal of the run, in whose folder the results are written.
        rank: Of the process in whose name the image is noted.
        dataset: Data set of the images.
        localization: NAVE or a baseline.
        centroids: Whether to keep those of every image.
    """

    journal: Journal
    rank: int
    dataset: Dataset
    localization: Localizer
    centroids: bool = False

    def __call__(self, task: Task) -> Finished:
        """Localizes, scores and writes one image.

        Raises:
            WritingError: If that fails, naming the image.
        """
        start = time.perf_counter()
        try:
            explanations = task.image.explained(self.localization)
            localized = time.perf_counter()
            notes = [with_content(note, task.content) for note in self.write(explanations, task.truth)]
        except Exception as error:
            raise WritingError(f"{task.image.image_id}: {error}") from error
        seconds = {"localization": localized - start, "writing": time.perf_counter() - localized}
        return Finished(self.journal.lines(self.rank, *notes), seconds)

    def write(self, explanations: Sequence[Explanation], truth: GroundTruth | None) -> Iterator[Note]:
        """Writes the maps of one image over K; yields the notes of what exists."""
        palettes = align([explanation.labels for explanation in explanations])
        masks = self._masks(explanations[0].index)
        for explanation, palette_index in zip(explanations, palettes, strict=True):
            results = self.journal.folder.at(explanation.k, self.journal.ks)
            labels, line = at_original_size(explanation), line_of(explanation, truth)
            write_image(indexed(labels, palette_index), results.map(explanation.image_id), **FAST)
            self._describe(line, labels, masks, explanation.index)
            if masks is not None:
                note_objects(line, explanation, masks[0])
            if self.centroids or "segmentation" in line or "watermark" in line:  # class mIoU, comparisons need them
                results.write_centroids(explanation.image_id, explanation.centroids)
            else:
                results.centroids(explanation.image_id).unlink(missing_ok=True)
            yield Note(index=explanation.index, k=explanation.k, line=line)

    def _masks(self, index: int) -> tuple[Any, Any] | None:
        """The masks of classes and objects of an image that has them."""
        if not isinstance(self.dataset, Masked) or (mask := self.dataset.mask(index)) is None:
            return None
        return mask, self.dataset.object_mask(index)

    def _describe(
        self, line: Line, labels: UInt8[np.ndarray, "H W"], masks: tuple[Any, Any] | None, index: int
    ) -> None:
        """Adds to a line what only those of images with masks or watermarks say."""
        if masks is not None and isinstance(self.dataset, Masked):
            line["segmentation"] = agreement(labels, *masks, self.dataset.mask_classes())
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
    clusters = int(labels.max()) + 1
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
            balance=rounded(cluster_balance(labels, k)),
            coherence=rounded(spatial_coherence(labels)),
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
        labels: The map.
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
