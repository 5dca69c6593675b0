"""A comparison as rows: a quantity of a run, or of a pair of runs, with its interval."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

import numpy as np
from scipy.stats import t

from nave.comparison.concepts import concept_scores
from nave.comparison.images import warn_of_different_images
from nave.comparison.measure import Box, Figures, changes, figures
from nave.comparison.scores import SCORE, box_differences, known_scores, map_figures
from nave.metrics.bootstrap import DIGITS, Score, mean, proportion, score
from nave.runs.labels import names_without_k
from nave.runs.layout import k_text
from nave.runs.reader import RunAtK

PerImage = Mapping[str, float]  # a value in 0 to 1 (for differences -1 to 1) by image_id


BASELINE = k_text(None)  # in the place of K
SHARES = ("mask_found", "box_found", "saturation")  # quantities that are 0 or 1 in every image


def average(quantity: str, figures: PerImage) -> Score:
    """Mean over images in percent, with Wilson's interval if the quantity is one of SHARES, else the bootstrap's."""
    values = np.array(list(figures.values()))
    if quantity in SHARES and np.isin(values, (0, 1)).all():  # a study may give means of several runs
        return proportion(values == 1)
    return score(mean(values), len(values))


def difference(ours: PerImage, theirs: PerImage) -> Score:
    """Mean of ours minus theirs over the images of both, in percentage points, with its bootstrap interval.

    Images are resampled, not runs, so the interval does not cover what all images share, such as a training's seed.
    """
    common = [image_id for image_id in ours if image_id in theirs]
    gains = np.array([ours[image_id] - theirs[image_id] for image_id in common])
    return score(mean(gains), len(common))


def over_seeds(values: Sequence[float], images: int) -> Score:
    """Mean over seeds with its 95 % interval (Student's t, n - 1 degrees of freedom); none if all seeds agree.

    Args:
        values: One value per seed, each a mean over images; for the interval of a difference, the paired differences.

    Raises:
        ValueError: If there are fewer than two seeds.
    """
    if len(values) < 2:
        raise ValueError(f"{len(values)} seed: an interval over seeds needs at least two")
    mean, error = np.mean(values), np.std(values, ddof=1) / np.sqrt(len(values))
    half = t.ppf(0.975, len(values) - 1) * error
    low, high = (round(float(mean + sign * half), DIGITS) for sign in (-1, 1))
    if low == high:
        return Score(value=round(float(mean), DIGITS), low=None, high=None, images=images)
    return Score(value=round(float(mean), DIGITS), low=low, high=high, images=images)


@dataclass(frozen=True)
class Row:
    """One quantity with its interval.

    Attributes:
        quantity: Name of the quantity; see ``TITLES`` in :mod:`nave.comparison.display`.
        concept: A class, ``any``, or empty.
        against: Name of the reference run of a pair; empty for a quantity of a single run.
    """

    quantity: str
    concept: str
    run: str
    k: str
    against: str
    score: Score

    def flat(self) -> dict[str, Any]:
        """The row as a flat mapping, for CSV and JSON."""
        nested = asdict(self)
        score: dict[str, Any] = nested.pop("score")
        return nested | score


def rows(runs: Sequence[RunAtK]) -> list[Row]:
    """Compares runs: quantities of every run, agreement of all pairs at equal K, differences to the first run.

    Scores differ between any two runs: at equal K; a baseline, which has none, differs from the other run at each K,
    and so do runs without a K in common. All is measured on the images that both runs have, by their ids;
    the log warns of those that differ all the same.

    Raises:
        ValueError: If two such runs have no image in common.
    """
    warn_of_different_images(runs)
    watermarks = stamped(runs)
    measured = list(zip(runs, names_without_k(runs), (figures(run, watermarks) for run in runs), strict=True))
    result = [row for run, name, values in measured for row in _quantities(run, name, values)]
    for (first, first_name, theirs), (second, name, ours) in combinations(measured, 2):
        if first.k == second.k:
            result += _agreements(first, first_name, second, name)
            for quantity, concept, found in concept_scores(first, second):
                result.append(Row(quantity, concept, name, second.k, first_name, found))
            if first is next(run for run in runs if run.k == first.k):
                result += _differences(name, second.k, ours, first_name, theirs)
        if paired(first, second, runs):
            result += _score_differences(name, second, against(first, first_name, second), first)
    return result


def paired(first: RunAtK, second: RunAtK, runs: Sequence[RunAtK]) -> bool:
    """Whether the scores of two runs are compared at their K; ``runs`` are these and all others."""
    if first.run is second.run:
        return False
    ks = [{run.k for run in runs if run.run is one.run} for one in (first, second)]
    return first.k == second.k or BASELINE in (first.k, second.k) or not ks[0] & ks[1]


def against(first: RunAtK, name: str, second: RunAtK) -> str:
    """What the reference ``first`` is called: by its K too, if that is not the K of ``second``."""
    return name if first.k in (second.k, BASELINE) else f"{name}, K {first.k}"


def stamped(runs: Iterable[RunAtK]) -> dict[str, Box]:
    """Boxes of watermarks by image_id, of all runs, so that runs on unstamped images are measured at the same place."""
    return {image_id: box for run in runs for image_id, line in run.lines.items() if (box := line.get("watermark"))}


def present_by_run(rows: Sequence[Row], quantity: str) -> dict[tuple[str, str], tuple[int, ...]]:
    """The K at which at least half of the images of a concept have a cluster for it, by concept and run.

    Not only the smallest one, since an object often splits into several clusters at a larger K.
    """
    shares: dict[tuple[str, str], dict[int, float]] = {}
    for row in rows:
        if row.quantity == quantity and not row.against and row.k.isdigit() and row.score["value"] is not None:
            shares.setdefault((row.concept, row.run), {})[int(row.k)] = row.score["value"]
    return {key: tuple(k for k in sorted(by_k) if by_k[k] >= 50) for key, by_k in shares.items()}


def _quantities(run: RunAtK, name: str, by_quantity: Figures) -> Iterator[Row]:
    for concept, found in known_scores(run).items():
        yield Row(SCORE, concept, name, run.k, "", found)
    for (quantity, concept), values in by_quantity.items():
        yield Row(quantity, concept, name, run.k, "", average(quantity, values))


def check_common(first: RunAtK, second: RunAtK) -> None:
    """Raises ValueError if two runs have no image in common, or an id that is two images, naming the folders."""
    folders = f"{first.results.path} and {second.results.path}"
    common = [image_id for image_id in first.lines if image_id in second.lines]
    if not common:
        raise ValueError(f"{folders} have no image in common: compare runs of the same images")
    for image_id in common:
        one, other = ((run.lines[image_id]["width"], run.lines[image_id]["height"]) for run in (first, second))
        if one != other:
            sizes = f"{one[0]} x {one[1]} and {other[0]} x {other[1]} pixels"
            raise ValueError(f"{folders}: {image_id} is two images, of {sizes}: compare runs of the same images")


def _agreements(first: RunAtK, first_name: str, second: RunAtK, name: str) -> Iterator[Row]:
    check_common(first, second)
    by_image = changes(first, second)
    for quantity in next(iter(by_image.values())).agreement:
        values = {image_id: found.agreement[quantity] for image_id, found in by_image.items()}
        yield Row(quantity, "", name, first.k, first_name, average(quantity, values))


def _differences(name: str, k: str, ours: Figures, reference: str, theirs: Figures) -> Iterator[Row]:
    for key in (key for key in ours if key in theirs):
        yield Row(*key, name, k, reference, difference(ours[key], theirs[key]))


def _score_differences(name: str, ours: RunAtK, reference: str, theirs: RunAtK) -> Iterator[Row]:
    check_common(theirs, ours)
    for concept, found in box_differences(ours, theirs).items():
        yield Row(SCORE, concept, name, ours.k, reference, found)
    yield from _differences(name, ours.k, map_figures(ours), reference, map_figures(theirs))
