"""Measures what a run keeps as the number of images grows: memory, time an image, open files, threads and hooks.

Question: are all of them flat? The data set is VOC 2007 in its real layout, with small JPEGs of many sizes and boxes,
made in a temporary folder; the encoder is tiny and random, so that what surrounds it is measured. Times are those of
the processors, which other work on the machine does not change.

With ``--stand-in`` the images are drawn and their clusters known, for runs of hundreds of thousands: each is killed
half-way, with SIGKILL, and resumed. Results are packed (``pack``), so the largest folder has a few files.

    python -m experiments.load [--images 1000 5000 20000] [further options of nave.run]
    python -m experiments.load --stand-in --images 5000 50000 200000
"""

import argparse
import io
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hydra import compose, initialize_config_module
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from omegaconf import DictConfig
from PIL import Image

from nave.build import instantiate
from nave.clustering.number import NumberOfClusters
from nave.config import register, resolved
from nave.data.batch import Batch
from nave.data.interface import GroundTruth
from nave.localization.interface import Localizer
from nave.module import ClusteredImage, ImageClusters
from nave.pipeline import explain
from nave.processes.device import Stages
from nave.runs.journal import Journal
from nave.runs.layout import RunFolder
from nave.runs.provenance import begin, recorded
from nave.runs.record import Record, read_record
from nave.runs.scoring import evaluate

SIDES = (24, 32, 40, 48, 56, 64)  # of the images, every pair of them
BOXES = 3  # an image
EVERY = 50  # images between two samples
QUICK = (
    *("data=voc07", "model=resnet_tiny", "k=3", "overlays=0", "trainer.accelerator=cpu"),
    *("localization.min_area=16", "localization.border=1"),
)
KEPT = ("files", "threads", "hooks")  # numbers that must not grow


class Probe(Callback):
    """Samples the process while it explains images, and writes the samples to ``file``, one line each.

    Args:
        file: written to.
        stop: number of images after which the process is killed; None: it is not.
    """

    def __init__(self, file: str, stop: int | None = None) -> None:
        self._file, self._images, self._stop = Path(file), 0, stop

    def on_predict_start(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002 - Lightning's
        """Takes the first sample."""
        self._write(pl_module)

    def on_predict_batch_end(
        self,
        trainer: Trainer,  # noqa: ARG002 - Lightning's
        pl_module: LightningModule,
        outputs: Any,  # noqa: ARG002
        batch: Batch,
        batch_idx: int,  # noqa: ARG002
        dataloader_idx: int = 0,  # noqa: ARG002
    ) -> None:
        """Takes a sample now and then."""
        before = self._images
        self._images += len(batch.image_ids)
        if self._images // EVERY > before // EVERY:
            self._write(pl_module)
        if self._stop is not None and self._images >= self._stop:
            os.kill(os.getpid(), signal.SIGKILL)

    def _write(self, module: LightningModule) -> None:
        with self._file.open("a") as file:
            file.write(json.dumps(self._sample(module), allow_nan=False) + "\n")

    def _sample(self, module: LightningModule) -> dict[str, float]:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return {
            "images": self._images,
            "seconds": sum(os.times()[:2]),
            "memory": pages * os.sysconf("SC_PAGE_SIZE") / 2**20,
            "files": len(os.listdir("/proc/self/fd")),  # noqa: PTH208 - of names alone
            "threads": len(os.listdir("/proc/self/task")),  # noqa: PTH208
            "hooks": sum(len(part._forward_hooks) + len(part._forward_pre_hooks) for part in module.modules()),
        }


def write(root: Path, count: int) -> None:
    """Writes ``VOCdevkit/VOC2007`` with ``count`` images."""
    folder, generator = root / "VOCdevkit" / "VOC2007", np.random.default_rng(0)
    for inside in ("JPEGImages", "Annotations", "ImageSets/Main"):
        (folder / inside).mkdir(parents=True)
    pictures = [((h, w), _jpeg(generator, h, w)) for h in SIDES for w in SIDES]
    names = [f"{number:06}" for number in range(count)]
    for number, name in enumerate(names):
        size, content = pictures[number * 5 % len(pictures)]
        (folder / "JPEGImages" / f"{name}.jpg").write_bytes(content)
        (folder / "Annotations" / f"{name}.xml").write_text(_annotation(generator, *size))
    (folder / "ImageSets" / "Main" / "trainval.txt").write_text("\n".join(names))


def _jpeg(generator: np.random.Generator, height: int, width: int) -> bytes:
    coarse, file = generator.integers(0, 256, (6, 8, 3), dtype=np.uint8), io.BytesIO()
    Image.fromarray(coarse).resize((width, height), Image.Resampling.BILINEAR).save(file, "JPEG")
    return file.getvalue()


def _annotation(generator: np.random.Generator, height: int, width: int) -> str:
    corners = generator.integers(1, (width // 2, height // 2), (BOXES, 2))
    ends = corners + generator.integers(4, (width // 2, height // 2), (BOXES, 2))
    boxes = np.concatenate([corners, ends], axis=1).tolist()
    objects = "".join(
        "<object><name>cat</name><bndbox>"
        f"<xmin>{x1}</xmin><ymin>{y1}</ymin><xmax>{x2}</xmax><ymax>{y2}</ymax></bndbox></object>"
        for x1, y1, x2, y2 in boxes
    )
    return f"<annotation><size><width>{width}</width><height>{height}</height></size>{objects}</annotation>"


def measured(*command: str, ends: int = 0) -> dict[str, float]:
    """Runs a Python module; its seconds on processors and its peak memory in MB.

    Raises:
        SystemExit: if the module does not end with the code ``ends``.
    """
    process = subprocess.Popen([sys.executable, "-m", *command], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if os.waitstatus_to_exitcode(status) != ends:
        sys.exit(f"{' '.join(command)} failed")
    return {"seconds": usage.ru_utime + usage.ru_stime, "peak": usage.ru_maxrss / 2**10}


def explained(samples: list[Mapping[str, float]]) -> str:
    """How time and memory of the last quarter of the images differ from the first, and the largest other numbers."""
    first, last = samples[1 : 1 + len(samples) // 4], samples[-(len(samples) // 4) :]
    memory = [float(np.mean([sample["memory"] for sample in part])) for part in (first, last)]
    times = [_milliseconds(part[0], part[-1]) for part in (first, last)]
    kept = ", ".join(f"{samples[1][name]} to {max(sample[name] for sample in samples)} {name}" for name in KEPT)
    begun = f"begun after {samples[0]['seconds']:.1f} s"
    return f"{begun}, {times[0]:.2f} to {times[1]:.2f} ms an image, {memory[0]:.0f} to {memory[1]:.0f} MB, {kept}"


def _milliseconds(first: Mapping[str, float], last: Mapping[str, float]) -> float:
    return 1e3 * (last["seconds"] - first["seconds"]) / (last["images"] - first["images"])


def read(samples: Path) -> str:
    """What the samples say, which are then forgotten."""
    lines = samples.read_text().splitlines()
    samples.unlink()
    return explained([json.loads(line) for line in lines])


def files(run: Path) -> str:
    """How many files there are in a run, and in the largest of its folders."""
    counts = {folder: len(names) for folder, _, names in os.walk(run)}
    largest = max(counts, key=lambda folder: counts[folder])
    return f"{sum(counts.values())} files, {counts[largest]} of them in {os.path.relpath(largest, run)}"


def load(root: Path, count: int, options: list[str]) -> None:
    """Explains ``count`` images in ``root``, takes the results over, scores them and writes the page; prints it all."""
    write(root, count)
    samples, run = root / "samples.jsonl", root / "outputs" / "run"
    common = (f"data.root={root}", *QUICK, *options, f"outputs={root / 'outputs'}")
    probe = f'+trainer.callbacks=[{{_target_: experiments.load.Probe, file: "{samples}"}}]'
    steps = {
        "explained and scored": ("nave.run", *common, probe, f"hydra.run.dir={run}"),
        "taken over": ("nave.run", *common, probe, "skip_existing=true", f"hydra.run.dir={root / 'outputs' / 'again'}"),
        "scored again": ("nave.evaluate", str(run)),
        "page": ("nave.report", str(run)),
    }
    for step, command in steps.items():
        figures = measured(*command)
        print(f"{count} images, {step}: {figures['seconds']:.0f} s, peak {figures['peak']:.0f} MB", flush=True)
        if step == "explained and scored":
            print("   ", read(samples), files(run), sep="\n    ", flush=True)


class Drawn:
    """Images that come from no file."""

    name = "drawn"

    def __init__(self, count: int) -> None:
        self._count, self._image = count, Image.new("RGB", (SIDES[2], SIDES[1]))

    def __len__(self) -> int:
        return self._count

    def image_id(self, index: int) -> str:
        """As in ImageNet, a folder for a thousand images."""
        return f"n{index // 1000:08}/ILSVRC2012_{index:08}"

    def image(self, index: int) -> Image.Image:  # noqa: ARG002 - of a data set
        """All are alike."""
        return self._image

    def size(self, index: int) -> tuple[int, int]:  # noqa: ARG002 - of a data set
        """(height, width)."""
        return self._image.height, self._image.width

    def truth(self, index: int) -> GroundTruth:
        """One box."""
        x, y = index % 16, index % 13
        return GroundTruth(np.array([[x, y, x + 16, y + 12]], float), ("cat",), (False,))


class StandIn(LightningModule):
    """In the place of encoder and clustering: labels that are known, of three clusters in blocks."""

    ahead = 0  # batches that are encoded before one is clustered

    def __init__(self, localization: Localizer) -> None:
        super().__init__()
        self.encoder, self.localization = torch.nn.Identity(), localization
        self.ks: tuple[NumberOfClusters | None, ...] = (3,)
        self.stages = Stages()
        blocks = np.random.default_rng(0).integers(0, 3, (97, 4, 5), dtype=np.uint8)
        self._labels = blocks.repeat(SIDES[1] // 4, axis=1).repeat(SIDES[2] // 5, axis=2)
        self._centroids = np.random.default_rng(1).normal(size=(97, 3, 16)).astype(np.float32)

    def predict_step(self, batch: Batch, batch_idx: int = 0) -> Callable[[], list[ClusteredImage]]:  # noqa: ARG002 - Lightning's
        """The clusters of a batch, when they are asked for."""
        images = zip(batch.image_ids, batch.indices, batch.sizes, strict=True)
        return lambda: [self._clustered(*image) for image in images]

    def _clustered(self, image_id: str, index: int, size: tuple[int, int]) -> ClusteredImage:
        number = index % len(self._labels)
        labels = self._labels[number]
        centroids = self._centroids[number][: labels.max() + 1]
        return ClusteredImage(image_id, index, size, (ImageClusters(3, labels, centroids, 1.0),), None)


def stand_in(folder: RunFolder, samples: str, count: int, stop: int | None) -> None:
    """What ``nave.run`` does after it has built its parts, in ``folder``."""
    cfg, dataset = _configuration(), Drawn(count)
    record = begin(resolved(cfg), read_record(folder))
    record |= Record(model="stand-in", training="none", weights="none", data=dataset.name, ks=[3])
    trainer: Trainer = instantiate(cfg.trainer)
    trainer.callbacks.append(Probe(samples, stop))  # type: ignore[attr-defined] # a list
    module: Any = StandIn(instantiate(cfg.localization))
    with recorded(folder, record):
        explain(cfg, module, dataset, Journal(folder, module.ks), record, trainer)
        evaluate(folder)


def _configuration() -> DictConfig:
    register()
    with initialize_config_module("nave.conf", version_base="1.3"):
        overrides = [*QUICK[1:], "foreground=off", "data=folder", "data.root=drawn", "loader.batch_size=64", "pack=1"]
        return compose("config", overrides=[*overrides, f"image_size=[{SIDES[1]},{SIDES[2]}]"])


def load_stand_in(root: Path, count: int) -> None:
    """Explains ``count`` images in ``root`` with the stand-in, killed half-way and resumed; prints what it takes."""
    run, samples = root / "run", root / "samples.jsonl"
    begun = ("experiments.load", "--in", str(run), str(samples), str(count))
    steps: dict[str, tuple[tuple[str, ...], int]] = {
        "half of them explained": ((*begun, str(count // 2)), -signal.SIGKILL),
        "the rest explained, all collected and scored": (begun, 0),
        "scored again": (("nave.evaluate", str(run)), 0),
        "page": (("nave.report", str(run)), 0),
    }
    for step, (command, ends) in steps.items():
        figures = measured(*command, ends=ends)
        print(f"{count} images, {step}: {figures['seconds']:.0f} s, peak {figures['peak']:.0f} MB", flush=True)
        if samples.exists():
            print("   ", read(samples), flush=True)
    print("   ", files(run), flush=True)


def main() -> None:
    """Runs the measurement."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, nargs="+", default=[1_000, 5_000, 20_000], help="at least 400")
    parser.add_argument("--stand-in", action="store_true", help="without encoder, killed and resumed")
    parser.add_argument("--in", nargs="+", dest="inside", help=argparse.SUPPRESS)
    given, options = parser.parse_known_args()
    if given.inside:
        folder, samples, count, *stop = given.inside
        stand_in(RunFolder(Path(folder)), samples, int(count), int(stop[0]) if stop else None)
        return
    for count in given.images:
        with tempfile.TemporaryDirectory() as folder:
            if given.stand_in:
                load_stand_in(Path(folder), count)
            else:
                load(Path(folder), count, options)


if __name__ == "__main__":
    main()
