"""A data set of FiftyOne, which it opens without this package.

``fiftyone.Dataset.from_dir(FOLDER, dataset_type=fiftyone.types.FiftyOneDataset)`` gives samples with the fields
``image_id``, ``clusters`` (the map; pixels are the cluster's id plus 1, as 0 is not drawn), ``components`` (boxes with
masks), ``detections`` (of the foreground head), ``box`` and ``ground_truth``.
"""

import base64
import io
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool
from PIL import Image

from nave.export.images import Images
from nave.export.masks import component_masks, xywh
from nave.runs.files import write_image, write_json
from nave.runs.prediction import BoxLine, Line
from nave.runs.reader import RunAtK

MAPS = "fields/clusters"  # FiftyOne resolves relative paths of a field in a folder of its name


def write_fiftyone(at_k: RunAtK, images: Images, folder: Path) -> None:
    """Writes the files of one run at one K.

    Raises:
        FileNotFoundError, ValueError: As :func:`component_masks` and :class:`Images`.
    """
    samples = [_sample(at_k, line, images, folder) for line in at_k.lines.values()]
    count = max((line["clusters"] for line in at_k.lines.values()), default=0)
    names = {str(cluster + 1): label(cluster) for cluster in range(count)}
    write_json(folder / "metadata.json", {"media_type": "image", "info": {"mask_targets": {"clusters": names}}})
    write_json(folder / "samples.json", {"samples": samples})


def label(cluster: int) -> str:
    """The name of a cluster in other tools."""
    return f"cluster {cluster}"


def _sample(at_k: RunAtK, line: Line, images: Images, folder: Path) -> dict[str, Any]:
    image_id, size = line["image_id"], (line["width"], line["height"])
    file = f"{MAPS}/{image_id}.png"
    write_image(Image.fromarray(at_k.read_map(image_id) + np.uint8(1)), folder / file)
    components = [
        _detection(label(component["cluster"]), component["box"], size, component["score"])
        | _cut(mask, component["box"])
        for component, mask in component_masks(at_k, line)
    ]
    truth = line["truth"]
    fields = {
        "filepath": images.path(image_id, folder),
        "tags": [],
        "image_id": image_id,
        "clusters": {"_cls": "Segmentation", "mask_path": file},
        "components": _detections(components),
        "box": _detection("object", line["box"], size),
    }
    if "detections" in line:
        found = [_detection("object", detection["box"], size, detection["score"]) for detection in line["detections"]]
        fields["detections"] = _detections(found)
    if truth is not None:
        named = zip(truth["classes"], truth["boxes"], strict=True)
        fields["ground_truth"] = _detections([_detection(name, box, size) for name, box in named])
    return fields


def _detections(entries: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return {"_cls": "Detections", "detections": list(entries)}


def _detection(name: str, box: BoxLine, size: tuple[int, int], score: float | None = None) -> dict[str, Any]:
    """A box in shares of the image's (width, height)."""
    shares = [side / size[axis % 2] for axis, side in enumerate(xywh(box))]
    return {"_cls": "Detection", "label": name, "bounding_box": shares, "confidence": score}


def _cut(mask: Bool[np.ndarray, "H W"], box: BoxLine) -> dict[str, Any]:
    """The mask inside its box, as FiftyOne keeps arrays: a compressed NumPy file."""
    x1, y1, x2, y2 = (round(side) for side in box)
    content = io.BytesIO()
    np.save(content, mask[y1:y2, x1:x2], allow_pickle=False)
    code = base64.b64encode(zlib.compress(content.getvalue())).decode()
    return {"mask": {"$binary": {"base64": code, "subType": "00"}}}
