"""What the page says of every image: the objects known, and how well each variant found one."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nave.metrics import Prediction
from nave.metrics.overlap import overlaps
from nave.metrics.selection import truth_of, with_objects, with_truth
from nave.report.collect import Variant


@dataclass(frozen=True, eq=False)
class Picture:
    """One image of one data set, and the variants that explained it; None where one did not."""

    image_id: str
    variants: tuple[Variant | None, ...]

    @property
    def line(self) -> dict[str, Any]:
        """The first prediction: its sizes and ground truth are those of all."""
        return next(v.lines[self.image_id] for v in self.variants if v is not None)


def pictures(found: Sequence[Variant]) -> list[Picture]:
    """Every image in the data sets' order; equal names in different data sets are different images."""
    datasets = [json.dumps(v.run.record["config"]["data"], sort_keys=True) for v in found]
    keys = dict.fromkeys((data, name) for data, v in zip(datasets, found, strict=True) for name in v.lines)
    return [
        Picture(name, tuple(v if data == d and name in v.lines else None for d, v in zip(datasets, found, strict=True)))
        for data, name in keys
    ]


def index(found: Sequence[Variant], seen: Sequence[Picture]) -> list[dict[str, Any]]:
    """One small object an image, which is enough to sort, filter and count.

    ``found`` holds, for every variant, the overlap of the one box and of the best component with the true box that
    each fits best, in 0 to 1; None where the variant or the truth is missing.
    """
    fits = {id(variant): _fits(variant) for variant in found}
    return [
        {
            "id": picture.image_id,
            "width": picture.line["width"],
            "height": picture.line["height"],
            "truth": picture.line["truth"],
            "found": [None if v is None else fits[id(v)].get(picture.image_id) for v in picture.variants],
        }
        for picture in seen
    ]


def _fits(variant: Variant) -> dict[str, tuple[float, float]]:
    hard = variant.run.record["config"]["evaluation"]["hard"]
    images = with_objects(with_truth(map(Prediction.from_line, variant.lines.values()), hard=hard))
    truths = [truth_of(image).boxes for image in images]
    chosen = overlaps([image.boxes[:0] if image.box is None else image.box[None] for image in images], truths)
    best = overlaps([image.boxes for image in images], truths)
    return {
        image.image_id: (round(float(one.max(initial=0)), 4), round(float(many.max(initial=0)), 4))
        for image, one, many in zip(images, chosen, best, strict=True)
    }
