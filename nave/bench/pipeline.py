"""How well a run hides the work on single images behind the device, and how much of it there is."""

import math
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from itertools import count
from pathlib import Path

import torch

from nave.api import configuration
from nave.bench.end_to_end import Figures, full_run, photographs, write
from nave.build import build_explainer
from nave.data.batch import Batch, load_batch, load_part
from nave.data.batch_loader import as_pixels, pieces
from nave.data.folder import Folder
from nave.data.input_size import InputSize
from nave.module import ClusteredImage, Explainer
from nave.processes.distributed import share_of_cores
from nave.processes.pool import each
from nave.processes.shared_memory import ROOM
from nave.runs.finishing import Finisher, Task
from nave.runs.head import head_outside_runs
from nave.runs.journal import Journal
from nave.runs.layout import RunFolder

SPEED = 100.0  # images per second of the device that sleeps
FED = 64  # images of a batch, where the process that feeds the device is measured
CALLS = 5  # of what takes some milliseconds, in place of one
COPIES = 16  # of every photograph: a run that lasts, though its few photographs alone are encoded


class SleepingExplainer(Explainer):
    """Takes the time of a GPU and none of the CPU's: real clusters, computed the first time a photograph comes.

    Args:
        explainer: computes them.
        speed: images per second.
        photographs: their number; the data set repeats them in their order.
    """

    def __init__(self, explainer: Explainer, speed: float, photographs: int) -> None:
        super().__init__(
            explainer.encoder,
            explainer.composite,
            explainer.clustering,
            explainer.localization,
            explainer.ks,
            explainer.seed,
        )
        self._speed, self._photographs, self._known = speed, photographs, dict[int, ClusteredImage]()
        self._busy_until = self.second_batch = 0.0  # seconds of the clock and of this process's CPU time

    @property
    def ahead(self) -> int:
        """As on a GPU, which works while the host does."""
        return 1

    def predict_step(self, batch: Batch, batch_idx: int = 0) -> Callable[[], list[ClusteredImage]]:
        """The clusters, once the device has spent ``B / speed`` seconds on them after those before."""
        if batch_idx == 1:
            self.second_batch = time.process_time()
        if not {index % self._photographs for index in batch.indices} <= self._known.keys():
            clustered = super().predict_step(batch, batch_idx)()
            self._known |= {image.index % self._photographs: image for image in clustered}
        end = self._busy_until = max(self._busy_until, time.perf_counter()) + len(batch.image_ids) / self._speed
        return partial(self._slept, batch, end)

    def _slept(self, batch: Batch, end: float) -> list[ClusteredImage]:
        time.sleep(max(0.0, end - time.perf_counter()))
        known = [self._known[index % self._photographs] for index in batch.indices]
        named = zip(known, batch.image_ids, batch.indices, strict=True)
        return [replace(image, image_id=image_id, index=index) for image, image_id, index in named]


def pipeline(size: tuple[int, int], images: int, repeats: int) -> Figures:
    """A run at 224 pixels whose device sleeps while it encodes and clusters, against the lower of two bounds.

    The bounds are the device's speed and that of all cores at the CPU time of an image.

    Args:
        size: (height, width) of the photographs.
        images: number of different photographs.
        repeats: runs after a warm-up, of which the fastest counts: other processes can only slow a run down.
    """
    cfg = configuration({"image_size": 224, "loader.batch_size": 8, "trainer.accelerator": "cpu"})
    explainer, total = SleepingExplainer(build_explainer(cfg), SPEED, images).cpu(), COPIES * images
    with tempfile.TemporaryDirectory() as folder:
        dataset = Folder(write(Path(folder, "photographs"), photographs(images, size), total))
        runs = []
        for repeat in range(repeats + 1):
            before = cpu_seconds()
            took, _ = full_run(cfg, explainer, dataset, Path(folder, str(repeat)))
            runs.append((took / total, (cpu_seconds() - before) / total))
    took, busy = min(runs[1:])
    bound = min(SPEED, share_of_cores(1) / busy)
    return {
        "pipeline_images_per_second": 1 / took,
        "pipeline_cpu_milliseconds": 1e3 * busy,
        "pipeline_bound_images_per_second": bound,
        "pipeline_over_bound": 1 / took / bound,
    }


def finishing(size: tuple[int, int], images: int, repeats: int) -> Figures:
    """CPU time of all that follows clustering, without pictures, against that of decoding the photograph's JPEG.

    By the ready foreground head, which chooses the boxes by default, and without one.
    """
    explainer, figures = build_explainer(configuration({})).cpu(), Figures()
    head = head_outside_runs(explainer)
    with tempfile.TemporaryDirectory() as folder:
        dataset = Folder(write(Path(folder, "photographs"), photographs(images, size)))
        decode = _least_cpu_seconds(lambda: [dataset.image(index) for index in range(images)], repeats) / images
        for name, judge in (("finish", head), ("finish_without_head", None)):
            explainer.foreground = judge
            tasks = [Task(_clustered(explainer, dataset, index), None, None) for index in range(images)]
            run = partial(_finish, explainer, dataset, tasks, Path(folder, name), count())
            finish = _least_cpu_seconds(run, repeats) / images
            figures[f"{name}_native_cpu_milliseconds"] = 1e3 * finish
            figures[f"{name}_over_decode_native"] = finish / decode
    return figures | {"decode_native_cpu_milliseconds": 1e3 * decode}


def _finish(explainer: Explainer, dataset: Folder, tasks: list[Task], folder: Path, numbers: Iterator[int]) -> None:
    journal = Journal(RunFolder(folder / str(next(numbers))), explainer.ks)
    each(Finisher(journal, 0, dataset, explainer.localization), tasks, processes=0)


def reading(size: tuple[int, int], images: int, repeats: int) -> Figures:
    """CPU time that one process of the loader takes for an image, resized to 224 pixels or not."""
    figures: Figures = {}
    with tempfile.TemporaryDirectory() as folder:
        dataset = Folder(write(Path(folder), photographs(images, size)))
        for name, input_size in (("224", InputSize((224, 224))), ("native", InputSize())):
            read = partial(_read, dataset, input_size)
            figures[f"loader_worker_{name}_cpu_milliseconds"] = 1e3 * _least_cpu_seconds(read, repeats) / images
    return figures


def _read(dataset: Folder, input_size: InputSize) -> None:
    memory = memoryview(bytearray(ROOM))
    for piece in pieces(range(len(dataset))):
        load_part(dataset, piece, input_size, partial(as_pixels, memory))


def main_process(size: tuple[int, int], images: int, repeats: int) -> Figures:
    """CPU time that the process with the device takes for an image beside its encoder and its clustering.

    It counts from the second batch, before which processes start, to predictions.jsonl.
    """
    options = {"image_size": 224, "loader.batch_size": FED, "loader.num_workers": 2, "trainer.accelerator": "cpu"}
    cfg, total = configuration(options), COPIES * images
    explainer = SleepingExplainer(build_explainer(cfg), math.inf, images).cpu()
    took = []
    with tempfile.TemporaryDirectory() as folder:
        dataset = Folder(write(Path(folder, "photographs"), photographs(images, size), total))
        for repeat in range(repeats + 1):
            full_run(cfg, explainer, dataset, Path(folder, str(repeat)))
            took.append(time.process_time() - explainer.second_batch)
    return {"main_process_cpu_milliseconds": 1e3 * min(took[1:]) / (total - FED)}


def cpu_seconds() -> float:
    """CPU time of this process and of those it has started and that have ended."""
    return sum(os.times()[:4])


def _clustered(explainer: Explainer, dataset: Folder, index: int) -> ClusteredImage:
    with torch.inference_mode():
        return explainer.predict_step(load_batch(dataset, [index]))()[0]


def _least_cpu_seconds(function: Callable[[], object], repeats: int) -> float:
    """The least of several times ``repeats`` calls: they are short, and other processes can only slow them down."""
    function()
    return min(_cpu_seconds(function) for _ in range(CALLS * repeats))


def _cpu_seconds(function: Callable[[], object]) -> float:
    start = time.process_time()
    function()
    return time.process_time() - start
