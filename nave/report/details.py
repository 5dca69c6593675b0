"""What the viewer needs of one image: the photograph, every variant's map in aligned colours, every box."""

from collections.abc import Mapping
from typing import Any

from nave.alignment import Slots, align
from nave.report.images import data_uri, grey_png, photograph, read_map
from nave.report.pictures import Picture


def detail(picture: Picture) -> dict[str, Any]:
    """One object; ``maps`` has an entry for every variant, None where the variant did not explain the image."""
    present = [v for v in picture.variants if v is not None]
    labels = [read_map(variant, picture.image_id) for variant in present]
    maps = iter(zip(labels, align(labels), strict=True))
    photo = photograph([variant.run for variant in present], picture.image_id)
    return {
        "photo": None if photo is None else data_uri(photo, "image/jpeg"),
        "maps": [None if v is None else _map(v.lines[picture.image_id], *next(maps)) for v in picture.variants],
    }


def _map(line: Mapping[str, Any], labels: Any, slots: Slots) -> dict[str, Any]:
    return {
        "ids": data_uri(grey_png(labels), "image/png"),
        "slots": slots,
        "box": line["box"],
        "components": [
            {key: one[key] for key in ("cluster", "score", "box", "inner_box")} for one in line["components"]
        ],
    }
