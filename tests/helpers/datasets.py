"""Data sets with the defaults of ``conf``, and tiny ones written in the real formats."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from hydra.utils import get_object
from omegaconf import OmegaConf
from PIL import Image

from nave.config import CONF
from nave.data.datamodule import ImageModule
from nave.data.interface import Dataset
from nave.data.watermark import watermarked


def configured(name: str, /, **changes: Any) -> Any:
    """The data set of ``conf/data/<name>.yaml``, with some of its keys replaced."""
    options = _plain(_read(f"data/{name}"))
    return get_object(options.pop("_target_"))(**options | changes)


def image_module(dataset: Dataset, **changes: Any) -> ImageModule:
    """The loader of ``conf/config.yaml``, with some of its keys replaced."""
    options = _plain(_read("config")["loader"])
    del options["_target_"]
    return ImageModule(dataset, **options | changes)


def with_watermark(dataset: Dataset, of: str | None, **changes: Any) -> Any:
    """``dataset`` with the watermarks of ``conf/config.yaml`` on the class ``of``."""
    config = _read("config")
    options = {"probability": config.watermark_probability, "seed": config.seed, "size": config.watermark_size}
    return watermarked(dataset, of, **options | changes)


@cache
def _read(name: str) -> Any:
    """A file of ``conf/``, read once: properties ask for it hundreds of times."""
    return OmegaConf.load(CONF / f"{name}.yaml")


def _plain(node: Any) -> dict[str, Any]:
    return dict(OmegaConf.to_container(node, resolve=True))


@dataclass(frozen=True)
class Thing:
    """One annotated object; its box as in VOC: counted from 1, both ends inside."""

    name: str
    box: tuple[float, float, float, float]
    difficult: int = 0
    truncated: int = 0


def photograph(size: tuple[int, int], seed: int = 0) -> Image.Image:
    """An RGB image of ``size`` (height, width): a bright block on a dark gradient, with noise from the seed."""
    height, width = size
    pixels = np.random.default_rng(seed).integers(0, 40, (height, width, 3), dtype=np.uint8)
    pixels += np.linspace(0, 60, width, dtype=np.uint8)[None, :, None]
    pixels[height // 4 : height // 2 + 1, width // 4 : width // 2 + 1] += 120
    return Image.fromarray(pixels)


def write_photograph(path: Path, size: tuple[int, int] = (30, 40), seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    photograph(size, seed).save(path)
    return path


def write_folder(root: Path, sizes: Mapping[str, tuple[int, int]]) -> Path:
    """Writes photographs by file name (``trip/beach.jpg``) and size (height, width); returns ``root``."""
    for seed, (name, size) in enumerate(sizes.items()):
        write_photograph(root / name, size, seed)
    return root


def voc_xml(image_id: str, size: tuple[int, int], things: Sequence[Thing]) -> str:
    objects = "".join(
        f"\t<object>\n\t\t<name>{thing.name}</name>\n\t\t<pose>Left</pose>\n"
        f"\t\t<truncated>{thing.truncated}</truncated>\n\t\t<difficult>{thing.difficult}</difficult>\n"
        f"\t\t<bndbox>\n\t\t\t<xmin>{thing.box[0]}</xmin>\n\t\t\t<ymin>{thing.box[1]}</ymin>\n"
        f"\t\t\t<xmax>{thing.box[2]}</xmax>\n\t\t\t<ymax>{thing.box[3]}</ymax>\n\t\t</bndbox>\n\t</object>\n"
        for thing in things
    )
    shape = f"<width>{size[1]}</width><height>{size[0]}</height><depth>3</depth>"
    head = f"\t<filename>{image_id}.jpg</filename>\n\t<size>{shape}</size>\n"
    return f"<annotation>\n{head}{objects}</annotation>\n"


def write_voc(
    root: Path,
    year: int = 2007,
    things: Mapping[str, Sequence[Thing]] | None = None,
    size: tuple[int, int] = (30, 40),
    split: str = "trainval",
) -> Path:
    """Writes ``VOCdevkit/VOC<year>`` under ``root`` and returns ``root``; every second image has a mask."""
    content = {"000005": [Thing("cat", (5, 3, 20, 18))]} if things is None else things
    folder = root / "VOCdevkit" / f"VOC{year}"
    for seed, (image_id, objects) in enumerate(content.items()):
        write_photograph(folder / "JPEGImages" / f"{image_id}.jpg", size, seed)
        write_text(folder / "Annotations" / f"{image_id}.xml", voc_xml(image_id, size, objects))
        if seed % 2 == 0:
            write_mask(folder / "SegmentationClass" / f"{image_id}.png", size)
    for image_sets in ("Main", "Segmentation"):
        write_text(folder / "ImageSets" / image_sets / f"{split}.txt", "".join(f"{name}\n" for name in content))
    return root


def write_mask(path: Path, size: tuple[int, int]) -> None:
    """Writes a palette PNG: background, class 8 (cat) in the middle, a void line around it."""
    labels = np.zeros(size, np.uint8)
    labels[3:19, 4:21], labels[4:18, 5:20] = 255, 8
    image = Image.fromarray(labels)
    image.putpalette([channel for colour in range(256) for channel in (colour, 255 - colour, colour // 2)])
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)


def coco_tables(
    images: Mapping[str, tuple[int, int]], boxes: Sequence[tuple[int, str, tuple[float, ...], int]]
) -> dict[str, Any]:
    """An instances JSON.

    Args:
        images: (height, width) by file name; their ids count from 10 on.
        boxes: image id, category, xywh, iscrowd.
    """
    names = sorted({category for _, category, _, _ in boxes} | {"person"})
    return {
        "info": {"year": 2017},
        "licenses": [],
        "images": [
            {"id": key, "file_name": name, "height": height, "width": width}
            for key, (name, (height, width)) in enumerate(images.items(), 10)
        ],
        "annotations": [
            {
                "id": key,
                "image_id": image_id,
                "category_id": names.index(category) + 1,
                "bbox": list(box),
                "area": box[2] * box[3],
                "iscrowd": crowd,
                "segmentation": {"counts": "0", "size": [1, 1]} if crowd else [[0.0, 0.0, 1.0, 0.0, 1.0, 1.0]],
            }
            for key, (image_id, category, box, crowd) in enumerate(boxes, 100)
        ],
        "categories": [{"id": key, "name": name, "supercategory": "thing"} for key, name in enumerate(names, 1)],
    }


def write_coco(root: Path, tables: dict[str, Any], split: str = "train2017") -> Path:
    """Writes ``coco`` under ``root`` and returns ``root``: the JSON, and photographs of the sizes in it."""
    for seed, image in enumerate(tables["images"]):
        size = (image["height"], image["width"])
        write_photograph(root / "coco" / split / image["file_name"], size, seed)
    write_text(root / "coco" / "annotations" / f"instances_{split}.json", json.dumps(tables))
    return root


def write_stl10(root: Path, split: str = "test", count: int = 3) -> Path:
    """Writes ``stl10_binary`` under ``root`` and returns ``root``; image i is ``photograph((96, 96), i)``."""
    folder = root / "stl10_binary"
    folder.mkdir(parents=True, exist_ok=True)
    images = np.stack([np.asarray(photograph((96, 96), seed)) for seed in range(count)])
    images.transpose(0, 3, 2, 1).tofile(folder / f"{split}_X.bin")  # column-major
    if split != "unlabeled":
        (1 + np.arange(count, dtype=np.uint8) % 10).tofile(folder / f"{split}_y.bin")
    return root


CHEST_HEADER = (
    "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position,"
    "OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y],"
)
CHEST_BOX_HEADER = "Image Index,Finding Label,Bbox [x,y,w,h],,,"


def write_chestxray14(
    root: Path,
    findings: Mapping[str, str],
    boxes: Sequence[str] = (),
    *,
    box_header: str = CHEST_BOX_HEADER,
    folders: Sequence[str] = ("images",),
    modes: Sequence[str] = ("L", "RGBA"),
) -> Path:
    """Writes ``chestxray14`` under ``root`` and returns ``root``: 64 x 64 images, lines that end as NIH's do.

    Args:
        root: folder of the data sets.
        findings: by image name, as ``Edema|Mass``.
        boxes: lines of the box list.
        box_header: first line of the box list.
        folders: folders of the images, in turn.
        modes: modes of the images, in turn.
    """
    folder = root / "chestxray14"
    for number, name in enumerate(findings):
        path = folder / folders[number % len(folders)] / name
        path.parent.mkdir(parents=True, exist_ok=True)
        photograph((64, 64), number).convert("L").convert(modes[number % len(modes)]).save(path)
    rows = [f"{name},{labels},0,1,41,M,AP,2500,2048,0.171,0.171," for name, labels in findings.items()]
    write_text(folder / "Data_Entry_2017.csv", "\r\n".join([CHEST_HEADER, *rows, ""]))
    write_text(folder / "BBox_List_2017.csv", "\r\n".join([box_header, *boxes, ""]))
    return root


def write_text(path: Path, content: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode())
    return path
