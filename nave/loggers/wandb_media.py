"""W&B images: an image with maps, true masks and boxes that can be toggled."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Integer, UInt8
from PIL import Image

from nave.data.interface import Dataset, Masked
from nave.runs.prediction import Line
from nave.runs.reader import Run, RunAtK
from nave.viz.overlay import shrunk
from nave.viz.palette import PaletteIndex, align

if TYPE_CHECKING:
    import wandb


LONGEST = 1024  # pixels of the longer side; larger images are shrunk
BACKGROUND, UNKNOWN = 0, 255
Size = tuple[int, int]  # (height, width)


def picture(run: Run, dataset: Dataset, index: int, group: str) -> "wandb.Image":
    """An image of the data set with its maps and boxes at every K and the ground truth.

    Args:
        run: The run.
        dataset: Data set of the run.
        index: Index of the image in the data set.
        group: Why the image was selected, for the caption.
    """
    import wandb

    image_id, first = dataset.image_id(index), run.at_k[0]
    photograph = shrunk(dataset.image(index), LONGEST)
    size = (photograph.height, photograph.width)
    indices = _indices(run, image_id)
    masks = {f"k={at_k.k}": _map(at_k, image_id, size, indices[at_k.k]) for at_k in run.at_k}
    if isinstance(dataset, Masked) and (truth := dataset.mask(index)) is not None:
        masks["truth"] = _classes(truth, dataset.mask_classes(), size)
    boxes = {f"{name}, k={at_k.k}": box for at_k in run.at_k for name, box in _predicted(at_k, image_id).items()}
    line = first.lines[image_id]
    if line["truth"]:
        boxes["truth"] = _boxes(line, line["truth"]["boxes"], line["truth"]["classes"])
    overlap = first.overlap(image_id)
    caption = f"{image_id} ({group})" if overlap is None else f"{image_id} ({group}, IoU {overlap:.2f})"
    return wandb.Image(photograph, masks=masks, boxes=boxes, caption=caption, file_type="jpg")


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


def _predicted(run: RunAtK, image_id: str) -> dict[str, dict[str, Any]]:
    line = run.lines[image_id]
    components = line["components"]
    names = [f"cluster {component['cluster']}" for component in components]
    scores = [component["score"] for component in components]
    return {
        "chosen": _boxes(line, [line["box"]] if line["box"] else [], ["chosen"]),
        "components": _boxes(line, [component["box"] for component in components], names, scores),
    }


def _boxes(
    line: Line, boxes: Iterable[Sequence[float]], names: Sequence[str], scores: Sequence[float] = ()
) -> dict[str, Any]:
    """Boxes in W&B's format, as fractions of width and height."""
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
