"""The comparison as a list of rows: one figure of one run (or of a pair of runs) with its interval."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

from nave.comparison.concepts import found_at
from nave.comparison.measure import Box, Figures, agreements, figures
from nave.comparison.paired import average, difference
from nave.metrics.bootstrap import Score


@dataclass(frozen=True, eq=False)
class Side:
    """One run under one K; sides of one name differ in K alone."""

    name: str
    k: str
    folder: Path
    lines: Mapping[str, dict[str, Any]]


@dataclass(frozen=True)
class Row:
    """``against`` is the other run of a pair, empty for a figure of one run; ``concept`` a class, ``any``, or empty."""

    quantity: str
    concept: str
    run: str
    k: str
    against: str
    score: Score

    def flat(self) -> dict[str, Any]:
        """One level, for a table."""
        own = asdict(self)
        row: dict[str, Any] = {name: value for name, value in own.items() if name != "score"} | own["score"]
        return row


def rows(sides: Sequence[Side], *, seed: int = 0) -> list[Row]:
    """Every figure of every side; then, at each K, how its maps agree with the other sides' and what the difference
    to the first side of that K is, on the images that both have.

    Raises:
        ValueError: if two sides of one K share no image.
    """
    watermarks = stamped(sides)
    measured = [figures(side.folder, side.lines, watermarks) for side in sides]
    found = [row for side, own in zip(sides, measured, strict=True) for row in _own(side, own, seed)]
    for (one, ours), (other, theirs) in combinations(zip(sides, measured, strict=True), 2):
        if one.k == other.k:
            found += _pair(one, other, seed)
            if one is next(side for side in sides if side.k == one.k):
                found += _differences(other, theirs, one, ours, seed)
    return found


def stamped(sides: Sequence[Side]) -> dict[str, Box]:
    """The watermarks' boxes by image: where one run explained stamped images, the others are measured there too."""
    return {image_id: box for side in sides for image_id, line in side.lines.items() if (box := line.get("watermark"))}


def present_at(found: Sequence[Row], quantity: str) -> dict[tuple[str, str], tuple[int, ...]]:
    """By concept and by run: the K at which at least half of the images have the concept."""
    shares: dict[tuple[str, str], dict[int, float]] = {}
    for row in found:
        if row.quantity == quantity and not row.against and row.k.isdigit() and row.score["value"] is not None:
            shares.setdefault((row.concept, row.run), {})[int(row.k)] = row.score["value"]
    return {key: found_at(by_k) for key, by_k in shares.items()}


def _own(side: Side, own: Figures, seed: int) -> Iterator[Row]:
    for (quantity, concept), values in own.items():
        yield Row(quantity, concept, side.name, side.k, "", average(values, seed=seed))


def _pair(one: Side, other: Side, seed: int) -> Iterator[Row]:
    common = [image_id for image_id in one.lines if image_id in other.lines]
    if not common:
        raise ValueError(f"{one.folder} and {other.folder} have no image in common: compare runs of the same images")
    for quantity, values in agreements(one.folder, other.folder, common).items():
        yield Row(quantity, "", other.name, one.k, one.name, average(values, seed=seed))


def _differences(side: Side, ours: Figures, reference: Side, theirs: Figures, seed: int) -> Iterator[Row]:
    for key in (key for key in ours if key in theirs):
        yield Row(*key, side.name, side.k, reference.name, difference(ours[key], theirs[key], seed=seed))
