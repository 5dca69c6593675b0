"""Measures time and memory at full size: COCO20k in its real layout with tiny synthetic images, explained and scored.

Question: is any step quadratic in the number of images, or does memory grow by more than a few kilobytes per image?
The official list of file names comes from NAVE_DATA.

    python -m experiments.full_size FOLDER [--images 19817] [further options of nave.run]
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

SIZE = (48, 64)  # height, width
VARIANTS = 16  # different images, each under many names
BOXES = 7  # per image, as in COCO
QUICK = (
    *("model=efficientnet_lite0", "training=random", "image_size=[48,64]", "loader.batch_size=64"),
    *("overlays=0", "photographs=null", "localization.min_area=16", "localization.border=1"),
)


def write(folder: Path, names: list[str]) -> None:
    """Writes ``coco/train2014`` and its instances JSON: an image with random boxes for every name."""
    generator = np.random.default_rng(0)
    images = folder / "coco" / "train2014"
    images.mkdir(parents=True)
    (folder / "coco" / "annotations").mkdir()
    pictures = [_picture(generator, images.parent / f"{number}.jpg") for number in range(VARIANTS)]
    entries, annotations = list[dict[str, Any]](), list[dict[str, Any]]()
    for key, name in enumerate(names):
        (images / name).write_bytes(pictures[key % VARIANTS])
        entries.append({"id": key, "file_name": name, "height": SIZE[0], "width": SIZE[1]})
        for box in _boxes(generator):
            annotations.append({"id": len(annotations), "image_id": key, "category_id": 1, "iscrowd": 0, "bbox": box})
    tables = {"images": entries, "annotations": annotations, "categories": [{"id": 1, "name": "thing"}]}
    (folder / "coco" / "annotations" / "instances_train2014.json").write_text(json.dumps(tables, allow_nan=False))


def _picture(generator: np.random.Generator, file: Path) -> bytes:
    coarse = generator.integers(0, 256, (6, 8, 3), dtype=np.uint8)
    Image.fromarray(coarse).resize((SIZE[1], SIZE[0]), Image.Resampling.BILINEAR).save(file)
    return file.read_bytes()


def _boxes(generator: np.random.Generator) -> list[list[int]]:
    corners = generator.integers(0, (SIZE[1] - 8, SIZE[0] - 8), (BOXES, 2))
    sides = np.minimum(generator.integers(8, 40, (BOXES, 2)), np.array([SIZE[1], SIZE[0]]) - corners)
    boxes: list[list[int]] = np.concatenate([corners, sides], axis=1).tolist()
    return boxes


def measured(*command: str) -> str:
    """Runs a Python module; returns its time and peak memory."""
    start = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", *command])
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"{' '.join(command)} failed")
    return f"{time.perf_counter() - start:.0f} s, peak {usage.ru_maxrss / 2**20:.2f} GiB"


def main() -> None:
    """Runs the measurement."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="folder to create")
    parser.add_argument("--images", type=int, default=19_817)
    given, options = parser.parse_known_args()
    names = Path(os.environ["NAVE_DATA"]) / "coco" / "coco_20k_filenames.txt"
    listed = [Path(line).name for line in names.read_text().split()][: given.images]
    write(given.folder, listed)
    shutil.copy(names, given.folder / "coco")
    run = str(given.folder / "run")
    data = ("data=coco20k", f"data.root={given.folder}", f"hydra.run.dir={run}")
    lines = {
        "explained and scored": measured("nave.run", *data, *QUICK, *options),
        "scored again from disk": measured("nave.evaluate", run),
    }
    for step, figures in lines.items():
        print(f"{len(listed)} images {step}: {figures}")


if __name__ == "__main__":
    main()
