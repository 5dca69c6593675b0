"""The callback that hands clustered images to other processes, which finish them, and notes what they have finished."""

import math
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any, cast

import numpy as np
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback

from nave.data.batch import Batch
from nave.data.interface import Dataset
from nave.localization.foreground import Foreground
from nave.localization.interface import Localizer
from nave.localization.switch import OFF
from nave.module import ClusteredImage, Explainer
from nave.processes.distributed import share_of_cores
from nave.processes.pool import CHUNK, FEW, Pool, finishers
from nave.runs.finishing import Finished, Finisher, Task, WritingError, with_content
from nave.runs.journal import Journal, with_spans
from nave.runs.notes import Ends, Note, Unreadable
from nave.runs.packing import Packer

PENDING = 4  # batches waiting to be finished


class Writer(Callback):
    """Finishes each image in other processes; its notes in the journal come last, when all files exist.

    Not a ``BasePredictionWriter``, which requires Lightning's own sampler, while the loader here assigns whole batches.

    Args:
        journal: Journal of the run, in whose folder the results are written.
        dataset: Data set of the images.
        images: Number of images to come over all processes of the job.
        centroids: Whether to keep those of every image, which form concepts.
        ends: Where the shards end that maps and centroids are appended to; None: each is a file of its own.
    """

    def __init__(
        self,
        journal: Journal,
        dataset: Dataset,
        localization: Localizer,
        images: int,
        centroids: bool = False,
        ends: Ends | None = None,
    ) -> None:
        self.journal, self.dataset, self.localization, self.images = journal, dataset, localization, images
        self.centroids, self.ends = centroids, ends
        self.seconds = {"localization": 0.0, "writing": 0.0}
        self._encoded = deque[tuple[Callable[[], list[ClusteredImage]], Batch]]()

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Starts the processes: before the first image, and before the data loader starts its threads."""
        packed = self.ends is not None
        options = (self.dataset, self.localization, self.centroids, packed)
        self._finisher = Finisher(self.journal, trainer.global_rank, *options)
        self._packer = Packer(self.journal.folder, self.journal.ks, trainer.global_rank, self.ends or {})
        if not self.localization.reads_tokens:
            labels, judged = np.zeros((2, 2), np.uint8), Foreground(np.ones((1, 1), np.int8), (2.0, 2.0))
            self.localization(labels, None, *([judged] if self.localization.foreground != OFF else []))  # compiles once
        share = self.images / trainer.world_size
        cores = share_of_cores(trainer.num_devices)
        most = cores if trainer.strategy.root_device.type == "cpu" else finishers(cores)
        processes = 0 if share < FEW else min(most, math.ceil(share / CHUNK))
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
        self._hand_over(keep=cast(Explainer, pl_module).ahead)

    def on_predict_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Waits until everything is written."""
        self._hand_over(keep=0)
        self._pool.drain()

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Ends the processes."""
        self._pool.finish()
        self._packer.close()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Writes the batches that wait, unless clustering or writing is what failed: they would be computed again."""
        if hasattr(self, "_pool"):
            with suppress(Exception):  # the error that has ended the run is on its way
                self._hand_over(keep=0)
            with suppress(Exception):
                self._pool.finish()
            self._packer.close()

    def _hand_over(self, keep: int) -> None:
        """Clusters the encoded batches but the last ``keep``, and hands them to the processes."""
        while len(self._encoded) > keep:
            clustered, batch = self._encoded.popleft()
            tasks = zip(clustered(), batch.truths, strict=True)
            self._pool.submit([Task(image, truth, batch.contents.get(image.index)) for image, truth in tasks])

    def _note(self, finished: Sequence[Finished]) -> None:
        start = time.perf_counter()
        try:
            lines = b"".join(line for image in finished for line in self._packed(image))
            self.journal.append_lines(self._finisher.rank, lines)
        except OSError as error:
            raise WritingError(f"{', '.join(image.image_id for image in finished)}: {error}") from error
        self.seconds["writing"] += time.perf_counter() - start
        for stage in self.seconds:
            self.seconds[stage] += sum(image.seconds[stage] for image in finished)

    def _packed(self, finished: Finished) -> Iterator[bytes]:
        """Appends the files of an image to the shards; yields its lines, which say where they lie."""
        for k, line, members in finished.over_k:
            yield with_spans(line, self._packer.append(k, members)) if members else line
