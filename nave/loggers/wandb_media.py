"""W&B images: an image with its map, true mask and boxes that can be toggled, and a thumbnail for tables."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Integer, UInt8
from PIL import Image

from nave.data.interface import Dataset, Masked
from nave.runs.pictures import overlay_of
from nave.runs.prediction import Line
from nave.runs.reader import Run, RunAtK
from nave.viz.overlay import shrunk
from nave.viz.palette import PaletteIndex, align

if TYPE_CHECKING:
    import wandb


LONGEST = 640  # pixels of the longer side; larger images are shrunk
THUMBNAIL = 256  # the same in a table, whose pictures W&B stores once more
BACKGROUND, UNKNOWN = 0, 255
Size = tuple[int, int]  # (height, width)


def picture(run: Run, dataset: Dataset, index: int, group: str) -> "wandb.Image":
    """An image of the data set with its map, its boxes and the ground truth.

    The overlays are called the same at every K, so that those of several runs are toggled together. ``group`` says why
    the image was chosen.
    """
    import wandb

    image_id, (at_k,) = dataset.image_id(index), run.at_k
    photograph = shrunk(dataset.image(index), LONGEST)
    size = (photograph.height, photograph.width)
    masks = {"clusters": _map(at_k, image_id, size, _indices(run, image_id)[at_k.k])}
    if isinstance(dataset, Masked) and (truth := dataset.mask(index)) is not None:
        masks["truth"] = _classes(truth, dataset.mask_classes(), size)
    line = at_k.lines[image_id]
    boxes = {"boxes": _predicted(line)}
    if line["truth"]:
        boxes["truth"] = _boxes(line, line["truth"]["boxes"], line["truth"]["classes"])
    overlap = at_k.overlaps[image_id]
    caption = f"{image_id} ({group})" if overlap is None else f"{image_id} ({group}, IoU {overlap:.2f})"
    return wandb.Image(photograph, masks=masks, boxes=boxes, caption=caption, file_type="jpg")


def thumbnail(run: RunAtK, dataset: Dataset, index: int) -> "wandb.Image":
    """A small picture of an image with its map and boxes, drawn into it."""
    import wandb

    line = run.lines[dataset.image_id(index)]
    drawn = shrunk(overlay_of(run.results, line, dataset.image(index)), THUMBNAIL)
    return wandb.Image(drawn, file_type="jpg")


@contextmanager
def names_sent_once(config: "wandb.Config") -> Iterator[None]:
    """Sends the names of all overlays' classes at the end of the block.

    W&B sends the whole configuration for each overlay, and copies it to its log: megabytes for 30 images.
    """
    object.__setattr__(config, "persist", lambda: None)  # an ordinary assignment makes a key of the configuration
    try:
        yield
    finally:
        object.__delattr__(config, "persist")
        config.persist()


def _indices(run: Run, image_id: str) -> dict[str, PaletteIndex]:
    """Palette indices by K; of every K of the run, as each has its own W&B run, and W&B colours by id."""
    every = replace(run, ks=None).at_k
    aligned = align([at_k.read_map(image_id) for at_k in every])
    return {at_k.k: indices for at_k, indices in zip(every, aligned, strict=True)}


def _map(run: RunAtK, image_id: str, size: Size, indices: PaletteIndex) -> dict[str, Any]:
    labels = np.array(indices, np.uint8)[_resized(run.read_map(image_id), size)]
    return {"mask_data": labels, "class_labels": {index: f"cluster {n}" for n, index in enumerate(indices)}}


def _classes(truth: Integer[np.ndarray, "H W"], names: Mapping[int, str], size: Size) -> dict[str, Any]:
    labels = _resized(truth.astype(np.uint8), size)
    named = {**names, BACKGROUND: "background", UNKNOWN: "unknown"}
    return {"mask_data": labels, "class_labels": {int(c): named.get(int(c), f"class {c}") for c in np.unique(labels)}}


def _resized(labels: UInt8[np.ndarray, "_h _w"], size: Size) -> UInt8[np.ndarray, "H W"]:
    return np.asarray(Image.fromarray(labels).resize((size[1], size[0]), Image.Resampling.NEAREST))


def _predicted(line: Line) -> dict[str, Any]:
    """The components' boxes by cluster, and the chosen box."""
    components, chosen = line["components"], [line["box"]] if line["box"] else []
    names = [*(f"cluster {component['cluster']}" for component in components), *("chosen" for _ in chosen)]
    boxes = [*(component["box"] for component in components), *chosen]
    return _boxes(line, boxes, names, [component["score"] for component in components])


def _boxes(
    line: Line, boxes: Iterable[Sequence[float]], names: Sequence[str], scores: Sequence[float] = ()
) -> dict[str, Any]:
    """Boxes in W&B's format, as fractions of width and height; the first ones have ``scores``."""
    width, height = line["width"], line["height"]
    ids = {name: number for number, name in enumerate(sorted(set(names)))}
    data = [
        {
            "position": {"minX": x1 / width, "maxX": x2 / width, "minY": y1 / height, "maxY": y2 / height},
            "class_id": ids[name],
            "box_caption": name,
        }
        for (x1, y1, x2, y2), name in zip(boxes, names, strict=False)
    ]
    for box, score in zip(data, scores, strict=False):
        box["scores"] = {"score": score}
    return {"box_data": data, "class_labels": {number: name for name, number in ids.items()}}
