"""Throughput of a whole run against that of the encoder alone, on the same photographs in the same batches."""

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import count, islice
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig
from PIL import Image, ImageOps

from nave.api import configuration
from nave.build import build_explainer, instantiate
from nave.data.folder import Folder
from nave.data.sample import Sample
from nave.module import Explainer
from nave.pipeline import explain
from nave.processes.device import Stages
from nave.runs.journal import Journal
from nave.runs.layout import RunFolder
from nave.runs.record import Record

Figures = dict[str, float | str]
STAGES = ("encoder", "clustering", "localization", "writing")


def seconds(function: Callable[[], object]) -> float:
    """The duration of one call, including work on the GPU."""
    start = time.perf_counter()
    function()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - start


def median_seconds(function: Callable[[], object], repeats: int) -> float:
    """The median duration of ``repeats`` calls after a warm-up."""
    function()
    return statistics.median(seconds(function) for _ in range(repeats))


def photographs(number: int, size: tuple[int, int]) -> list[Image.Image]:
    """Different photographs of ``size`` (height, width), cropped and resized.

    These are the eight of ``data=sample``, then the same mirrored, then rotated by more and more degrees.
    """
    return [ImageOps.fit(image, (size[1], size[0]), Image.Resampling.LANCZOS) for image in islice(_endless(), number)]


def write(folder: Path, images: list[Image.Image], total: int | None = None) -> Path:
    """Writes JPEG files, so that decoding is part of the measurement; returns the folder.

    Of ``total`` files the further ones repeat the images in their order.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for number, image in enumerate(images):
        image.save(folder / f"{number:04}.jpg", quality=92)
    for number in range(len(images), total or len(images)):
        (folder / f"{number:04}.jpg").hardlink_to(folder / f"{number % len(images):04}.jpg")
    return folder


def _endless() -> Iterator[Image.Image]:
    sample = Sample()
    for turn in count():
        for index in range(len(sample)):
            image = sample.image(index)
            mirrored = ImageOps.mirror(image) if turn % 2 else image
            yield mirrored.rotate(turn // 2, Image.Resampling.BILINEAR)


def end_to_end(name: str, size: tuple[int, int], images: int, batch_size: int, repeats: int, **options: Any) -> Figures:
    """Images per second of both, and each stage's share of the run's time.

    Both are measured alternately, and their medians compared. A run includes decoding, batching and writing (maps and
    records), but neither reading the weights nor pictures, of which a large run draws a few. Localization and writing
    run in parallel, so the shares may sum to more than 1.
    """
    cfg = configuration(options | {"loader.batch_size": batch_size})
    explainer = build_explainer(cfg).to("cuda" if torch.cuda.is_available() else "cpu")
    with tempfile.TemporaryDirectory() as folder:
        dataset = Folder(write(Path(folder, "photographs"), photographs(images, size)))
        runs: list[float] = []
        forwards: list[float] = []
        shares: list[dict[str, float]] = []
        for repeat in range(repeats + 1):
            forward = encoder_only(cfg, explainer, dataset)
            explainer.stages = Stages()
            run, stages = full_run(cfg, explainer, dataset, Path(folder, str(repeat)))
            if repeat:  # the first is the warm-up
                runs.append(run)
                forwards.append(forward)
                shares.append({stage: stages[stage] / run for stage in STAGES})
    return {
        f"end_to_end_{name}_images_per_second": images / statistics.median(runs),
        f"encoder_{name}_images_per_second": images / statistics.median(forwards),
        f"end_to_end_over_encoder_{name}": statistics.median(forwards) / statistics.median(runs),
        **{f"share_{name}_{stage}": statistics.median(share[stage] for share in shares) for stage in STAGES},
    }


def encoder_only(cfg: DictConfig, explainer: Explainer, dataset: Folder) -> float:
    """Seconds of the encoder's forward passes; the batches are moved to its device before."""
    loader = instantiate(cfg.loader, dataset=dataset).predict_dataloader()
    batches = [batch.to(next(explainer.encoder.parameters()).device).images for batch in loader]
    return seconds(lambda: [explainer.encoder(batch) for batch in batches])


def full_run(cfg: DictConfig, explainer: Explainer, dataset: Folder, folder: Path) -> tuple[float, dict[str, float]]:
    """Seconds of a run from its first batch to its last file, and of its stages."""
    record = Record(model="", training="", weights="", data=dataset.name, ks=list(explainer.ks))
    start = time.perf_counter()
    explain(cfg, explainer, dataset, Journal(RunFolder(folder), explainer.ks), record, instantiate(cfg.trainer))
    took = time.perf_counter() - start
    speed = record["images_per_second"]
    return (len(dataset) / speed if speed else took), record["seconds"]
