"""concepts.json: what it holds, and how it is read."""

from typing import TypedDict

from nave.metrics.bootstrap import Score
from nave.runs.files import read_json
from nave.runs.layout import ResultsFolder
from nave.strict_json import checked


class Example(TypedDict):
    """A region that shows a concept: a cluster of an image, and how far its centroid is from the concept's centre."""

    image_id: str
    cluster: int
    distance: float


class Concept(TypedDict):
    """A concept: the images that show it, as a percentage, and its mean figures over these, in percent.

    See :func:`nave.metrics.concepts.figures`. The examples are those next to the centre, at most one an image.
    """

    frequency: Score
    area: float
    border: float
    central: float
    foreground: float
    examples: list[Example]


class Concepts(TypedDict):
    """The concepts, the most frequent first, and the concept of every cluster, by image_id."""

    concepts: list[Concept]
    images: dict[str, list[int]]


def read_concepts(results: ResultsFolder) -> Concepts | None:
    """The concepts of a run at one K; None if it has none.

    Raises:
        ValueError: if the file is damaged, naming it.
    """
    path = results.concepts
    if not path.is_file():
        return None
    found: Concepts = checked(read_json(path), Concepts, path, "score the run again (python -m nave.evaluate FOLDER)")
    return found
