"""The callback that writes maps, overlays and predictions as batches come."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from PIL import Image

from nave.alignment import Slots, align
from nave.background import Background
from nave.centroids import write_centroids
from nave.data.batch import Batch
from nave.data.photograph import Dataset, Masked, Truth
from nave.data.watermark import Watermarked
from nave.maps import map_path
from nave.module import Explanation
from nave.overlay import indexed, overlay
from nave.photographs import keep
from nave.records import agreement, record
from nave.results import RunFolder

PENDING = 4  # batches that may wait to be written


class Writer(Callback):
    """Writes each image's results while the next are computed; its note comes last, when all is there.

    No ``BasePredictionWriter``: that one wants Lightning's own sampler, while the loader here deals whole batches.
    """

    def __init__(self, folder: RunFolder, dataset: Dataset, overlays: bool, photographs: int | None = None) -> None:
        self.folder, self.dataset, self.overlays, self.photographs = folder, dataset, overlays, photographs
        self.seconds = {"writing": 0.0}

    def on_predict_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Not earlier, since a thread cannot be sent to other processes."""
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
        """Called by Lightning after every predict_step."""
        self._background.submit(self.write_batch, trainer.global_rank, outputs, batch)

    def on_predict_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Nothing is left to write when the run goes on."""
        self._background.finish()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """What waits has no note yet: it is computed again."""
        if hasattr(self, "_background"):
            self._background.abandon()

    def write_batch(self, rank: int, explanations: Sequence[Explanation], batch: Batch) -> None:
        """Files first, then the notes that say so."""
        start = time.perf_counter()
        for index, image_id, reason in batch.unreadable:
            unreadable = {"image_id": image_id, "reason": reason}
            self.folder.append(rank, {"index": index, "unreadable": unreadable})
        truths = dict(zip(batch.image_ids, batch.truths, strict=True))
        slots = slots_over_k(explanations)
        for explanation in explanations:
            line = self.write(explanation, truths[explanation.image_id], slots[id(explanation)])
            note = {"index": explanation.index, "k": explanation.k, "line": line}
            self.folder.append(rank, note)
        self.seconds["writing"] += time.perf_counter() - start

    def write(self, explanation: Explanation, truth: Truth | None, slots: Slots) -> dict[str, Any]:
        """Writes the map, the overlay and a small copy of one image; its record."""
        line = record(explanation, truth)
        folder, image_id = self.folder.of(explanation.k), explanation.image_id
        labels = at_original_size(explanation)
        _save(indexed(labels, slots), map_path(folder, image_id), compress_level=1)
        masks, index = self.dataset if isinstance(self.dataset, Masked) else None, explanation.index
        if masks and (mask := masks.mask(index)) is not None:
            line["segmentation"] = agreement(labels, mask, masks.object_mask(index), masks.mask_classes())
        if isinstance(self.dataset, Watermarked) and (region := self.dataset.region(index)) is not None:
            line["watermark"] = list(region)
        if "segmentation" in line or "watermark" in line:  # what is asked of a whole data set needs them
            write_centroids(folder, image_id, explanation.centroids)
        if not self.overlays and not self.photographs:
            return line
        photograph = self.dataset.image(explanation.index)
        if self.photographs:
            keep(photograph, self.folder.root, image_id, self.photographs)
        if self.overlays:
            boxes = [] if truth is None else truth.boxes.tolist()
            picture = overlay(photograph, labels, line["box"], boxes, slots)
            _save(picture, folder / "overlays" / f"{image_id}.jpg", quality=95, subsampling=0)
        return line


def slots_over_k(explanations: Sequence[Explanation]) -> dict[int, Slots]:
    """The colours' numbers of every explanation, by its ``id()``: one concept keeps one colour over an image's K."""
    images: dict[str, list[Explanation]] = {}
    for explanation in explanations:
        images.setdefault(explanation.image_id, []).append(explanation)
    aligned = [(some, align([one.labels for one in some])) for some in images.values()]
    return {id(one): slots for some, rows in aligned for one, slots in zip(some, rows, strict=True)}


def at_original_size(explanation: Explanation) -> UInt8[np.ndarray, "H W"]:
    """The map in the original image's pixels, by nearest neighbour."""
    height, width = explanation.size
    if explanation.labels.shape == (height, width):
        return explanation.labels
    return np.asarray(Image.fromarray(explanation.labels).resize((width, height), Image.Resampling.NEAREST))


def _save(image: Image.Image, path: Path, **options: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, **options)
