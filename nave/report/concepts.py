"""The part of a run's report that shows its concepts: what they are like, and the regions that show them best."""

import io
from collections.abc import Iterator, Sequence
from typing import Any

from PIL import Image

from nave.comparison.concepts import OVERLAP
from nave.comparison.pictures import Picture
from nave.comparison.rows import Row
from nave.report.images import data_uri
from nave.runs.concepts import Concepts, read_concepts
from nave.runs.files import encoded
from nave.runs.reader import RunAtK
from nave.viz.concepts import coloured, lit
from nave.viz.overlay import QUALITY
from nave.viz.palette import hex_colours

LONGEST = 140  # pixels of the longer side of a picture
WHOLE = 7  # images that are shown in the colours of all their concepts


def context(shown: Sequence[RunAtK]) -> list[dict[str, Any]]:
    """What the template shows of each K: images in the concepts' colours, and every concept; empty without concepts."""
    found = [(run, concepts) for run in shown if (concepts := read_concepts(run.results))]
    return [
        {"k": run.k, "images": list(_whole(run, concepts)), "concepts": list(_concepts(run, concepts))}
        for run, concepts in found
    ]


def pairs_of(measured: Sequence[Row], before: RunAtK, after: RunAtK, names: tuple[str, str]) -> list[dict[str, Any]]:
    """Every concept of ``before`` with its counterpart in ``after``, None where it has vanished; the vanished last.

    ``names`` are those in rows.
    """
    found = [read_concepts(run.results) for run in (before, after)]
    where = (OVERLAP, names[1], after.k, names[0])
    own = [row for row in measured if (row.quantity, row.run, row.k, row.against) == where]
    if found[0] is None or found[1] is None or not own:
        return []
    ours, theirs = list(_concepts(before, found[0])), list(_concepts(after, found[1]))
    pairs: list[dict[str, Any]] = []
    for row in sorted(own, key=lambda row: -(row.score["value"] or 0)):
        first, second = row.concept.split(" = ")
        counterpart = None if second == "-" else theirs[int(second)]
        pairs.append({"score": row.score, "before": ours[int(first)], "after": counterpart})
    return pairs


def _whole(run: RunAtK, concepts: Concepts) -> Iterator[tuple[str, str]]:
    for image_id in list(concepts["images"])[:WHOLE]:
        if (photograph := _photograph(run, image_id)) is not None:
            picture = coloured(photograph, run.read_map(image_id), concepts["images"][image_id], LONGEST)
            yield image_id, _jpeg(picture)


def _concepts(run: RunAtK, concepts: Concepts) -> Iterator[dict[str, Any]]:
    palette = hex_colours(len(concepts["concepts"]))
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
    return data_uri(encoded(picture, "JPEG", quality=QUALITY, optimize=True), "image/jpeg")
