"""The scores of runs that have ground truth, and their paired differences."""

from collections.abc import Iterator, Mapping, Sequence

from nave.comparison.measure import Figures
from nave.metrics.bootstrap import Score
from nave.metrics.prediction import Prediction
from nave.metrics.protocols import score_differences
from nave.runs.reader import RunAtK
from nave.runs.scoring import statistics

SCORE = "score"  # the quantity, whose concept is the name of the score


def known_scores(run: RunAtK) -> dict[str, Score]:
    """The run's own scores that are defined, of boxes and of maps."""
    return {name: score for name, score in run.scores.items() if score["value"] is not None}


def box_differences(ours: RunAtK, theirs: RunAtK) -> dict[str, Score]:
    """Differences of the box protocols on the images of both runs, where both define them; options are ``ours``."""
    common = [image_id for image_id in theirs.lines if image_id in ours.lines]
    options = ours.run.record["config"]["evaluation"]
    chosen = {key: options[key] for key in ("iou", "hard", "inner")}
    found = score_differences(_predictions(ours, common), _predictions(theirs, common), **chosen)
    by_both = ours.scores.keys() & theirs.scores.keys() if ours.scores and theirs.scores else found.keys()
    return {name: score for name, score in found.items() if score["value"] is not None and name in by_both}


def _predictions(run: RunAtK, image_ids: Sequence[str]) -> Iterator[Prediction]:
    return (Prediction.from_line(run.lines[image_id]) for image_id in image_ids)


def map_figures(run: RunAtK) -> Figures:
    """What the scores of maps are means of, by image: their statistics, and their agreement with true masks."""
    by_name: dict[tuple[str, str], dict[str, float]] = {}
    for image_id, line in run.lines.items():
        figures: Mapping[str, float | None] = statistics(line)
        for name, value in figures.items():
            if value is not None:
                by_name.setdefault((SCORE, name), {})[image_id] = value
    return by_name
