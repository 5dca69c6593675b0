from collections.abc import Iterator
from pathlib import Path

import pytest
import wandb
from PIL import Image

from nave.loggers.wandb_concepts import COLUMNS, concept_tables
from nave.runs.concepts import read_concepts
from tests.runs.test_forming import with_centroids

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")


class Photographs:
    """The images of :func:`with_centroids`."""

    name = "photographs"
    names = ("one", "two", "three", "four")

    def __len__(self) -> int:
        return len(self.names)

    def image_id(self, index: int) -> str:
        return self.names[index]

    def image(self, index: int) -> Image.Image:
        return Image.new("RGB", (80, 60), (index, 0, 0))

    def size(self, index: int) -> tuple[int, int]:
        return 60, 80

    def truth(self, index: int) -> None:
        """Unknown."""


def cells(table: wandb.Table) -> Iterator[dict[str, object]]:
    return (dict(zip(COLUMNS, row, strict=True)) for row in table.data)


def test_every_concept_has_a_row_with_its_regions(tmp_path: Path) -> None:
    run = with_centroids(tmp_path, concepts=3)
    found, tables = read_concepts(run.results), concept_tables(run, Photographs())
    assert found is not None
    for row, concept in zip(cells(tables["concepts"]), found["concepts"], strict=True):
        assert (row["images"], row["area"]) == (concept["frequency"]["value"], concept["area"])
        assert isinstance(row["regions"], wandb.Image)
        picture = row["regions"].image
        assert picture is not None
        assert picture.width == 4 * 80 + 3 * 4


def test_a_run_without_concepts_has_no_table(tmp_path: Path) -> None:
    assert concept_tables(with_centroids(tmp_path, concepts=0), Photographs()) == {}
