"""The callback that writes maps, overlays and predictions batch by batch."""

import io
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int, UInt8
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from PIL import Image

from nave.data.datamodule import Batch
from nave.data.interface import Dataset, GroundTruth, Masked
from nave.data.watermark import Watermarked
from nave.localization.interface import resized
from nave.metrics.segmentation import contingency, segmentation_scores
from nave.metrics.unlabelled import cluster_balance, spatial_coherence
from nave.module import Explanation
from nave.runs.choice import chosen, plain, rounded
from nave.runs.journal import Journal, Note, Unreadable
from nave.runs.layout import RunFolder, write_bytes
from nave.runs.prediction import Line, MapLine, SegmentationLine, TruthLine
from nave.viz.overlay import QUALITY, indexed, overlay, shrunk
from nave.viz.palette import PaletteIndex, align

PENDING = 4  # batches waiting to be written


class Writer(Callback):
    """Writes the results of each image in the background; its note in the journal comes last, when all files exist.

    Not a ``BasePredictionWriter``, which requires Lightning's own sampler, while the loader here assigns whole batches.

    Args:
        journal: Journal of the run, in whose folder the results are written.
        dataset: Data set of the images.
        overlays: Whether to draw overlays.
        photographs: Longer side in pixels of the copies of the images; None for no copies.
    """

    def __init__(self, journal: Journal, dataset: Dataset, overlays: bool, photographs: int | None) -> None:
        self.journal, self.dataset, self.overlays, self.photographs = journal, dataset, overlays, photographs
        self.seconds = {"writing": 0.0}

    def on_predict_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Starts the background thread, which cannot be sent to other processes."""
        self._background = Background(PENDING)

    def on_predict_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Batch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Submits the batch for writing."""
        self._background.submit(self.write_batch, trainer.global_rank, outputs, batch)

    def on_predict_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Waits until everything is written."""
        self._background.finish()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Drops waiting batches; without notes, their images will be computed again."""
        if hasattr(self, "_background"):
            self._background.abandon()

    def write_batch(self, rank: int, explanations: Sequence[Explanation], batch: Batch) -> None:
        """Writes the files of a batch, then its notes."""
        start = time.perf_counter()
        for index, image_id, reason in batch.unreadable:
            self._note(rank, batch, Note(index=index, unreadable=Unreadable(image_id=image_id, reason=reason)))
        truths = dict(zip(batch.image_ids, batch.truths, strict=True))
        palettes = palettes_over_k(explanations)
        for explanation in explanations:
            line = self.write(explanation, truths[explanation.image_id], palettes[id(explanation)])
            self._note(rank, batch, Note(index=explanation.index, k=explanation.k, line=line))
        self.seconds["writing"] += time.perf_counter() - start

    def _note(self, rank: int, batch: Batch, note: Note) -> None:
        content = batch.contents.get(note["index"])
        self.journal.append(rank, note if content is None else Note(**note, content=content))

    def write(self, explanation: Explanation, truth: GroundTruth | None, palette_index: PaletteIndex) -> Line:
        """Writes the map, the overlay and the small copy of one image; returns its line."""
        line = line_of(explanation, truth)
        image_id, index = explanation.image_id, explanation.index
        results = self.journal.folder.at(explanation.k, self.journal.ks)
        labels = at_original_size(explanation)
        _save(indexed(labels, palette_index), results.map(image_id), compress_level=1)
        masks = self.dataset if isinstance(self.dataset, Masked) else None
        if masks and (mask := masks.mask(index)) is not None:
            line["segmentation"] = agreement(labels, mask, masks.object_mask(index), masks.mask_classes())
        if isinstance(self.dataset, Watermarked) and (region := self.dataset.region(index)) is not None:
            line["watermark"] = list(region)
        if "segmentation" in line or "watermark" in line:  # class mIoU and comparisons need centroids
            results.write_centroids(image_id, explanation.centroids)
        else:
            results.centroids(image_id).unlink(missing_ok=True)
        if not self.overlays and not self.photographs:
            return line
        photograph = self.dataset.image(index)
        if self.photographs:
            if explanation.k == self.journal.ks[0]:  # an earlier attempt may have kept another image
                self.journal.folder.photograph(image_id).unlink(missing_ok=True)
            keep_photograph(photograph, self.journal.folder, image_id, self.photographs)
        if self.overlays:
            boxes = [] if truth is None else truth.boxes.tolist()
            picture = overlay(photograph, labels, line["box"], boxes, palette_index)
            _save(picture, results.overlay(image_id), quality=95, subsampling=0)
        return line


def keep_photograph(image: Image.Image, folder: RunFolder, image_id: str, longest: int) -> None:
    """Writes the small copy of one image, unless another K has written it already."""
    path = folder.photograph(image_id)
    if not path.exists():
        _save(shrunk(image, longest), path, quality=QUALITY, optimize=True)


def palettes_over_k(explanations: Sequence[Explanation]) -> dict[int, PaletteIndex]:
    """Palette indices of explanations, by their ``id()``, so that clusters of an image keep their colour over K."""
    images: dict[str, list[Explanation]] = {}
    for explanation in explanations:
        images.setdefault(explanation.image_id, []).append(explanation)
    return {
        id(explanation): palette_index
        for over_k in images.values()
        for explanation, palette_index in zip(over_k, align([at_k.labels for at_k in over_k]), strict=True)
    }


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
    scores = segmentation_scores(labels, mask)
    return SegmentationLine(
        miou=scores["miou"],
        ari=scores["ari"],
        nmi=scores["nmi"],
        object_miou=None if objects is None else segmentation_scores(labels, objects)["miou"],
        classes=counts.regions.tolist(),
        names=[names.get(region) for region in counts.regions.tolist()],
        pixels=counts.table.tolist(),
    )


def _truth(truth: GroundTruth) -> TruthLine:
    boxes = [[plain(side) for side in box] for box in truth.boxes.tolist()]
    return TruthLine(boxes=boxes, classes=list(truth.classes), hard=list(truth.hard))


def _save(image: Image.Image, path: Path, **options: Any) -> None:
    content = io.BytesIO()
    image.save(content, "PNG" if path.suffix == ".png" else "JPEG", **options)
    write_bytes(path, content.getvalue())


class Background:
    """Calls functions one after the other on a background thread; an error is raised by the next method call.

    Args:
        pending: Number of waiting calls at which :meth:`submit` blocks, so that a slow disk does not fill the memory.
    """

    def __init__(self, pending: int) -> None:
        self._limit = pending
        self._waiting: deque[Future[None]] = deque()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="background")

    def submit(self, function: Callable[..., None], *arguments: object) -> None:
        """Queues a call; raises the error of an earlier one, after which waiting calls are dropped."""
        self._waiting.append(self._thread.submit(function, *arguments))
        while self._waiting and (self._waiting[0].done() or len(self._waiting) > self._limit):
            self._settle()

    def finish(self) -> None:
        """Waits for all calls; raises the error of an earlier one."""
        while self._waiting:
            self._settle()
        self._thread.shutdown()

    def abandon(self) -> None:
        """Waits for the running call and drops the others."""
        self._thread.shutdown(cancel_futures=True)

    def _settle(self) -> None:
        try:
            self._waiting.popleft().result()
        except BaseException:
            self.abandon()
            raise
