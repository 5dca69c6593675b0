"""The part of a run's report that shows its concepts: what they are like, and the regions that show them best."""

import io
from collections.abc import Iterator, Sequence
from typing import Any

from PIL import Image

from nave.comparison.pictures import Picture
from nave.report.images import data_uri
from nave.runs.concepts import Concepts, read_concepts
from nave.runs.reader import RunAtK
from nave.viz.concepts import coloured, lit
from nave.viz.overlay import QUALITY
from nave.viz.palette import colours

LONGEST = 150  # pixels of the longer side of a picture
WHOLE = 8  # images that are shown in the colours of all their concepts


def context(shown: Sequence[RunAtK]) -> list[dict[str, Any]]:
    """What the template shows of each K: images in the concepts' colours, and every concept; empty without concepts."""
    found = [(run, concepts) for run in shown if (concepts := read_concepts(run.results))]
    return [
        {"k": run.k, "images": list(_whole(run, concepts)), "concepts": list(_concepts(run, concepts))}
        for run, concepts in found
    ]


def _whole(run: RunAtK, concepts: Concepts) -> Iterator[tuple[str, str]]:
    for image_id in list(concepts["images"])[:WHOLE]:
        if (photograph := _photograph(run, image_id)) is not None:
            picture = coloured(photograph, run.read_map(image_id), concepts["images"][image_id], LONGEST)
            yield image_id, _jpeg(picture)


def _concepts(run: RunAtK, concepts: Concepts) -> Iterator[dict[str, Any]]:
    palette = ["#{:02x}{:02x}{:02x}".format(*colour) for colour in colours(len(concepts["concepts"])).tolist()]
    for number, concept in enumerate(concepts["concepts"]):
        pictures = [
            (
                example["image_id"],
                _jpeg(lit(photograph, run.read_map(example["image_id"]), example["cluster"], number, LONGEST)),
            )
            for example in concept["examples"]
            if (photograph := _photograph(run, example["image_id"])) is not None
        ]
        yield {"number": number, "colour": palette[number], "pictures": pictures, "figures": concept}


def _photograph(run: RunAtK, image_id: str) -> Image.Image | None:
    jpeg = Picture(image_id, (run,)).photograph
    return None if jpeg is None else Image.open(io.BytesIO(jpeg))


def _jpeg(picture: Image.Image) -> str:
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=QUALITY, optimize=True)
    return data_uri(file.getvalue(), "image/jpeg")
