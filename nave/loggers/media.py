"""One photograph as W&B shows it: maps, true masks and boxes that can be switched on and off."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Integer, UInt8
from PIL import Image

from nave.data.photograph import Masked
from nave.loggers.finished import FinishedRun, OfOneK
from nave.photographs import shrunk

if TYPE_CHECKING:
    import wandb

LONGEST = 1024  # pixels; larger photographs are shown smaller
BACKGROUND, UNKNOWN = 0, 255
Size = tuple[int, int]  # (height, width)


def picture(run: FinishedRun, image_id: str, group: str) -> "wandb.Image":
    """The photograph with the map of every K and the true mask, and per K the chosen box, components and true boxes."""
    import wandb

    if run.dataset is None:
        raise ValueError("a run without its data set has no photographs")
    index = run.indices[image_id]
    photograph = shrunk(run.dataset.image(index), LONGEST)
    size = (photograph.height, photograph.width)
    masks = {f"k={one.k}": _map(one, image_id, size) for one in run.found}
    if isinstance(run.dataset, Masked) and (truth := run.dataset.mask(index)) is not None:
        masks["truth"] = _classes(truth, run.dataset.mask_classes(), size)
    boxes = {f"{name}, k={one.k}": box for one in run.found for name, box in _found(one, image_id).items()}
    first = run.found[0].lines[image_id]
    if first["truth"]:
        boxes["truth"] = _boxes(first, first["truth"]["boxes"], first["truth"]["classes"])
    overlap = run.found[0].overlap(image_id)
    caption = f"{image_id} ({group})" if overlap is None else f"{image_id} ({group}, IoU {overlap:.2f})"
    return wandb.Image(photograph, masks=masks, boxes=boxes, caption=caption, file_type="jpg")


def _map(one: OfOneK, image_id: str, size: Size) -> dict[str, Any]:
    labels = _resized(one.labels(image_id), size)
    names = {cluster: f"cluster {cluster}" for cluster in range(int(labels.max()) + 1)}
    return {"mask_data": labels, "class_labels": names}


def _classes(truth: Integer[np.ndarray, "H W"], names: Mapping[int, str], size: Size) -> dict[str, Any]:
    labels = _resized(truth.astype(np.uint8), size)
    named = {**names, BACKGROUND: "background", UNKNOWN: "unknown"}
    return {"mask_data": labels, "class_labels": {int(c): named.get(int(c), f"class {c}") for c in np.unique(labels)}}


def _resized(labels: UInt8[np.ndarray, "_h _w"], size: Size) -> UInt8[np.ndarray, "H W"]:
    return np.asarray(Image.fromarray(labels).resize((size[1], size[0]), Image.Resampling.NEAREST))


def _found(one: OfOneK, image_id: str) -> dict[str, dict[str, Any]]:
    line = one.lines[image_id]
    components = line["components"]
    names = [f"cluster {component['cluster']}" for component in components]
    scores = [component["score"] for component in components]
    return {
        "chosen": _boxes(line, [line["box"]] if line["box"] else [], ["chosen"]),
        "components": _boxes(line, [component["box"] for component in components], names, scores),
    }


def _boxes(
    line: dict[str, Any], boxes: Iterable[Sequence[float]], names: Sequence[str], scores: Sequence[float] = ()
) -> dict[str, Any]:
    """W&B's boxes: fractions of the sides, so that they fit the photograph at any size."""
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
