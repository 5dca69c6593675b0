"""How well a run hides the work on single images behind the device, and how much of it there is."""

import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch

from nave.api import configuration
from nave.bench.end_to_end import Figures, full_run, photographs, write
from nave.build import build_explainer
from nave.data.datamodule import Batch, load_batch
from nave.data.folder import Folder
from nave.module import ClusteredImage, Explainer
from nave.processes.distributed import share_of_cores
from nave.runs.journal import Journal
from nave.runs.layout import RunFolder
from nave.runs.writer import Finisher, Task

SPEED = 100.0  # images per second of the device that sleeps


class SleepingExplainer(Explainer):
    """Takes the time of a GPU and none of the CPU's: real clusters, computed the first time an image comes."""

    def __init__(self, explainer: Explainer, speed: float) -> None:
        super().__init__(
            explainer.encoder,
            explainer.composite,
            explainer.clustering,
            explainer.localization,
            explainer.ks,
            explainer.seed,
        )
        self._speed, self._known = speed, dict[str, ClusteredImage]()

    def predict_step(self, batch: Batch, batch_idx: int = 0) -> Callable[[], list[ClusteredImage]]:
        """The clusters, once ``B / speed`` seconds are over."""
        end = time.perf_counter() + len(batch.image_ids) / self._speed
        if any(image_id not in self._known for image_id in batch.image_ids):
            self._known |= {image.image_id: image for image in super().predict_step(batch, batch_idx)()}
        time.sleep(max(0.0, end - time.perf_counter()))
        return lambda: [self._known[image_id] for image_id in batch.image_ids]


def pipeline(size: tuple[int, int], images: int, repeats: int) -> Figures:
    """A run at 224 pixels whose device sleeps while it encodes and clusters, against the lower of two bounds.

    The bounds are the device's speed and that of all cores at the CPU time of an image.

    Args:
        size: (height, width) of the photographs.
        images: their number.
        repeats: runs after a warm-up, of which the fastest counts: other processes can only slow a run down.
    """
    options = {"image_size": 224, "loader.batch_size": 8, "trainer.accelerator": "cpu"}
    cfg = configuration(options)
    explainer = SleepingExplainer(build_explainer(cfg), SPEED).cpu()
    with tempfile.TemporaryDirectory() as folder:
        dataset = Folder(write(Path(folder, "photographs"), photographs(images, size)))
        runs = []
        for repeat in range(repeats + 1):
            before = cpu_seconds()
            took, _ = full_run(cfg, explainer, dataset, Path(folder, str(repeat)))
            runs.append((took / images, (cpu_seconds() - before) / images))
    took, busy = min(runs[1:])
    bound = min(SPEED, share_of_cores(1) / busy)
    return {
        "pipeline_images_per_second": 1 / took,
        "pipeline_cpu_milliseconds": 1e3 * busy,
        "pipeline_bound_images_per_second": bound,
        "pipeline_over_bound": 1 / took / bound,
    }


def finishing(size: tuple[int, int], images: int, repeats: int) -> Figures:
    """CPU time of all that follows clustering, without pictures, against that of decoding the photograph's JPEG."""
    cfg = configuration({})
    explainer = build_explainer(cfg).cpu()
    with tempfile.TemporaryDirectory() as folder:
        dataset = Folder(write(Path(folder, "photographs"), photographs(images, size)))
        finisher = Finisher(Journal(RunFolder(Path(folder, "run")), explainer.ks), 0, dataset, explainer.localization)
        tasks = [Task(_clustered(explainer, dataset, index), None, None) for index in range(images)]
        finish = _least_cpu_seconds(lambda: [finisher(task) for task in tasks], repeats) / images
        decode = _least_cpu_seconds(lambda: [dataset.image(index) for index in range(images)], repeats) / images
    return {
        "finish_native_cpu_milliseconds": 1e3 * finish,
        "decode_native_cpu_milliseconds": 1e3 * decode,
        "finish_over_decode_native": finish / decode,
    }


def cpu_seconds() -> float:
    """CPU time of this process and of those it has started and that have ended."""
    return sum(os.times()[:4])


def _clustered(explainer: Explainer, dataset: Folder, index: int) -> ClusteredImage:
    with torch.inference_mode():
        return explainer.predict_step(load_batch(dataset, [index]))()[0]


def _least_cpu_seconds(function: Callable[[], object], repeats: int) -> float:
    function()
    return min(_cpu_seconds(function) for _ in range(repeats))


def _cpu_seconds(function: Callable[[], object]) -> float:
    start = time.process_time()
    function()
    return time.process_time() - start
