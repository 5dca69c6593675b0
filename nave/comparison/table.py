"""The tables of a comparison, for a terminal and for a spreadsheet."""

import csv
import io
from collections.abc import Mapping, Sequence

from rich.table import Table

from nave.comparison.rows import Row
from nave.terminal import score_text

TITLES = {
    "mask_found": "cluster of its own, by mask (share of images, IoU of 0.5 or more)",
    "box_found": "cluster of its own, by box (share of images, IoU of 0.5 or more)",
    "mask_overlap": "overlap of the best cluster with the class's mask",
    "box_overlap": "overlap of the best component's box with an object's box",
    "saturation": "saturation: the watermark has a cluster of its own (share of images)",
    "watermark_overlap": "overlap of the best cluster with the watermark",
    "watermark_inertia": "share of the explained inertia that this cluster takes",
    "scattered": "pixels outside their cluster's largest component",
    "ari": "agreement of maps (ARI)",
    "matched_iou": "agreement of maps (matched IoU)",
}


def tables(found: Sequence[Row]) -> list[Table]:
    """One of figures, then one of agreements and differences for each reference; all in percent, 95 % intervals."""
    references = dict.fromkeys(row.against for row in found if row.against)
    return [_table("percent, with the 95 % interval", [row for row in found if not row.against])] + [
        _table(f"against {reference}", [row for row in found if row.against == reference]) for reference in references
    ]


def presence_table(present: Mapping[tuple[str, str], Sequence[int]], quantity: str) -> Table:
    """The K at which each concept is there, by run."""
    runs = list(dict.fromkeys(run for _, run in present))
    title = f"{TITLES[quantity].partition(' (')[0]}, in half of the images or more: at K"
    table = Table("concept", *runs, title=title, title_justify="left")
    for concept in dict.fromkeys(concept for concept, _ in present):
        table.add_row(concept, *(", ".join(map(str, present.get((concept, run), ()))) or "-" for run in runs))
    return table


def as_csv(found: Sequence[Row]) -> str:
    """One line a row; percent."""
    file = io.StringIO()
    writer = csv.DictWriter(file, list(found[0].flat()), lineterminator="\n")
    writer.writeheader()
    writer.writerows(row.flat() for row in found)
    return file.getvalue()


def _table(title: str, found: Sequence[Row]) -> Table:
    columns = list(dict.fromkeys((row.run, row.k) for row in found))
    cells = {(row.quantity, row.concept, row.run, row.k): row.score for row in found}
    table = Table("", "concept", *(f"{run}\nK {k}" for run, k in columns), "images", title=title, title_justify="left")
    for quantity, name in TITLES.items():
        for concept in dict.fromkeys(row.concept for row in found if row.quantity == quantity):
            scores = [cells.get((quantity, concept, *column)) for column in columns]
            images = max(score["images"] for score in scores if score is not None)
            texts = ("-" if score is None else score_text(score) for score in scores)
            table.add_row(name, concept, *texts, str(images))
    return table
