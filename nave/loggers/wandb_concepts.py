"""The W&B table of a run's concepts, with the regions that show each best."""

from typing import TYPE_CHECKING, Any

from nave.data.interface import Dataset, positions
from nave.metrics.concepts import FIGURES
from nave.runs.concepts import Concept, read_concepts
from nave.runs.reader import RunAtK
from nave.viz.concepts import lit, strip

if TYPE_CHECKING:
    import wandb

LONGEST = 150  # pixels of the longer side of a region's picture
COLUMNS = ("regions", "concept", "images", *FIGURES)


def concept_tables(run: RunAtK, dataset: Dataset) -> "dict[str, wandb.Table]":
    """``concepts``: one row a concept, figures in percent; nothing for a run without concepts."""
    import wandb

    found = read_concepts(run.results)
    if found is None:
        return {}
    shown = {example["image_id"] for concept in found["concepts"] for example in concept["examples"]}
    indices = positions(dataset, shown)

    def row(number: int, concept: Concept) -> list[Any]:
        regions = [
            lit(dataset.image(indices[one["image_id"]]), run.read_map(one["image_id"]), one["cluster"], number, LONGEST)
            for one in concept["examples"]
        ]
        picture = wandb.Image(strip(regions), file_type="jpg") if regions else None
        figures = [concept["area"], concept["border"], concept["central"], concept["foreground"]]
        return [picture, number, concept["frequency"]["value"], *figures]

    rows = [row(number, concept) for number, concept in enumerate(found["concepts"])]
    return {"concepts": wandb.Table(columns=list(COLUMNS), data=rows)}
