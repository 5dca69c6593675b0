"""The callback that writes maps, overlays and predictions as batches come."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import BasePredictionWriter
from PIL import Image

from nave.data.batch import Batch
from nave.data.photograph import Dataset, Truth
from nave.module import Explanation
from nave.overlay import indexed, overlay
from nave.records import record
from nave.results import RunFolder


class Writer(BasePredictionWriter):
    """Writes each image's results as soon as they exist; its line in the parts file comes last, when all is there."""

    def __init__(self, folder: RunFolder, dataset: Dataset, overlays: bool) -> None:
        super().__init__(write_interval="batch")
        self.folder, self.dataset, self.overlays = folder, dataset, overlays
        self.unreadable: list[tuple[int, str, str]] = []
        self.seconds = {"writing": 0.0}

    def write_on_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        prediction: Sequence[Explanation],
        batch_indices: Sequence[int] | None,
        batch: Batch,
        batch_idx: int,
        dataloader_idx: int,
    ) -> None:
        """Called by Lightning after every predict_step."""
        start = time.perf_counter()
        self.unreadable += batch.unreadable
        truths = dict(zip(batch.image_ids, batch.truths, strict=True))
        for explanation in prediction:
            line = self.write(explanation, truths[explanation.image_id])
            self.folder.append(trainer.global_rank, explanation.index, explanation.k, line)
        self.seconds["writing"] += time.perf_counter() - start

    def reasons(self, first: int = 3) -> str:
        """Why the first unreadable images are so."""
        return "; ".join(f"{image_id}: {reason}" for _, image_id, reason in sorted(self.unreadable)[:first])

    def write(self, explanation: Explanation, truth: Truth | None) -> dict[str, Any]:
        """Writes the map and the overlay of one image; its record."""
        line = record(explanation, truth)
        folder, name = self.folder.of(explanation.k), f"{explanation.image_id}.png"
        labels = at_original_size(explanation)
        _save(indexed(labels), folder / "maps" / name)
        if self.overlays:
            boxes = [] if truth is None else truth.boxes.tolist()
            photograph = self.dataset.image(explanation.index)
            _save(overlay(photograph, labels, line["box"], boxes), folder / "overlays" / name)
        return line


def at_original_size(explanation: Explanation) -> UInt8[np.ndarray, "H W"]:
    """The map in the original image's pixels, by nearest neighbour."""
    height, width = explanation.size
    if explanation.labels.shape == (height, width):
        return explanation.labels
    return np.asarray(Image.fromarray(explanation.labels).resize((width, height), Image.Resampling.NEAREST))


def _save(image: Image.Image, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, compress_level=1)
