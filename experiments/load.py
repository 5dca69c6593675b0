"""Measures what a run keeps as the number of images grows: memory, time an image, open files, threads and hooks.

Question: are all of them flat? The data set is VOC 2007 in its real layout, with small JPEGs of many sizes and boxes,
made in a temporary folder; the encoder is tiny and random, so that what surrounds it is measured. Times are those of
the processors, which other work on the machine does not change.

    python -m experiments.load [--images 1000 5000 20000] [further options of nave.run]
"""

import argparse
import io
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from PIL import Image

from nave.data.batch import Batch

SIDES = (24, 32, 40, 48, 56, 64)  # of the images, every pair of them
BOXES = 3  # an image
EVERY = 50  # images between two samples
QUICK = (
    *("data=voc07", "model=resnet_tiny", "k=3", "overlays=0", "trainer.accelerator=cpu"),
    *("localization.min_area=16", "localization.border=1"),
)
KEPT = ("files", "threads", "hooks")  # numbers that must not grow


class Probe(Callback):
    """Samples the process while it explains images, and writes the samples to ``file``, one line each."""

    def __init__(self, file: str) -> None:
        self._file, self._images = Path(file), 0

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
            with self._file.open("a") as file:
                file.write(json.dumps(self._sample(pl_module), allow_nan=False) + "\n")

    def _sample(self, module: LightningModule) -> dict[str, float]:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return {
            "images": self._images,
            "seconds": time.process_time(),
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


def measured(*command: str) -> dict[str, float]:
    """Runs a Python module; its seconds on processors and its peak memory in MB.

    Raises:
        SystemExit: if the module fails.
    """
    process = subprocess.Popen([sys.executable, "-m", *command], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"{' '.join(command)} failed")
    return {"seconds": usage.ru_utime + usage.ru_stime, "peak": usage.ru_maxrss / 2**10}


def explained(samples: list[Mapping[str, float]]) -> str:
    """How time and memory of the last quarter of the images differ from the first, and the largest other numbers."""
    first, last = samples[: len(samples) // 4], samples[-(len(samples) // 4) :]
    memory = [float(np.mean([sample["memory"] for sample in part])) for part in (first, last)]
    times = [1e3 * (part[-1]["seconds"] - part[0]["seconds"]) / ((len(part) - 1) * EVERY) for part in (first, last)]
    kept = ", ".join(f"{samples[0][name]} to {max(sample[name] for sample in samples)} {name}" for name in KEPT)
    return f"{times[0]:.1f} to {times[1]:.1f} ms an image, {memory[0]:.0f} to {memory[1]:.0f} MB, {kept}"


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
            print("   ", explained([json.loads(line) for line in samples.read_text().splitlines()]), flush=True)


def main() -> None:
    """Runs the measurement."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, nargs="+", default=[1_000, 5_000, 20_000], help="at least 400")
    given, options = parser.parse_known_args()
    for count in given.images:
        with tempfile.TemporaryDirectory() as folder:
            load(Path(folder), count, options)


if __name__ == "__main__":
    main()
