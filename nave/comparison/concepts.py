"""The concepts of one encoder in those of another on the same images: which have a counterpart, which vanish."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from jaxtyping import Float64, Int, Int64, UInt8
from scipy.optimize import linear_sum_assignment
from scipy.sparse import csr_matrix, vstack

from nave.metrics.bootstrap import Score, score
from nave.metrics.segmentation import COUNTERPART, pair_ious
from nave.runs.concepts import Concepts, read_concepts
from nave.runs.forming import form
from nave.runs.reader import RunAtK

KEPT, AGAIN, NEW, OVERLAP = "concepts_kept", "concepts_again", "concepts_new", "concept_overlap"  # quantities
OTHER = 1  # added to the seed of a run's concepts


def concept_scores(before: RunAtK, after: RunAtK) -> Iterator[tuple[str, str, Score]]:
    """Compares the concepts of two runs on the images of both; nothing if one of them has none.

    Concepts are matched one to one, so that the sum of the intersections over union of their pixels in all images is
    largest; from COUNTERPART on they are counterparts. Images are resampled; concepts and their matching are given.

    Yields:
        Quantity, concept and figure: the share of the first run's concepts that have a counterpart; the same among its
        own concepts if they are formed from another seed, which is as much as equal encoders would keep; the share of
        the second's that have none; then the overlap of every pair, as ``3 = 5``; ``3 = -`` has vanished.
    """
    ours, theirs = read_concepts(before.results), read_concepts(after.results)
    if ours is None or theirs is None:
        return
    size = (len(ours["concepts"]), len(theirs["concepts"]))
    images = [image_id for image_id in ours["images"] if image_id in theirs["images"]]
    tables = _stacked(
        shared_pixels(
            before.read_map(one),
            np.array(ours["images"][one]),
            after.read_map(one),
            np.array(theirs["images"][one]),
            size,
        )
        for one in images
    )
    found = Overlaps.of(tables, size)
    whole = found(np.ones((1, len(images)), np.int64))[0]
    yield KEPT, "", score(found.kept, len(images))
    if (again := _again(before, ours, images)) is not None:
        yield AGAIN, "", score(again.kept, len(images))
    yield NEW, "", score(found.new, len(images))
    for number, (first, second) in enumerate(found.pairs):
        name = f"{first} = {second}" if whole[number] >= COUNTERPART else f"{first} = -"
        yield OVERLAP, name, score(partial(found.of_pair, number), len(images))


@dataclass(frozen=True, eq=False)
class Overlaps:
    """The intersections over union of pairs of concepts over resamples.

    Args:
        tables: shared pixels, one row an image.
        size: numbers of the concepts of both runs.
        pairs: concepts of the first run, and of the second.
    """

    tables: csr_matrix
    size: tuple[int, int]
    pairs: list[tuple[int, int]]

    @classmethod
    def of(cls, tables: csr_matrix, size: tuple[int, int]) -> "Overlaps":
        """Those of concepts that are matched over all images."""
        return cls(tables, size, matched(np.asarray(tables.sum(axis=0)).reshape(size)))

    def __call__(self, resamples: Int[np.ndarray, "R N"]) -> Float64[np.ndarray, "R P"]:
        """Between 0 and 1, NaN for a pair without a pixel."""
        counts = np.asarray(self.tables.T @ resamples.T).T.reshape(-1, *self.size)
        first, second = np.array(self.pairs).T
        shared = counts[:, first, second]
        union = counts.sum(axis=2)[:, first] + counts.sum(axis=1)[:, second] - shared
        overlaps: Float64[np.ndarray, "R P"] = shared / np.where(union > 0, union, np.nan)
        return overlaps

    def kept(self, resamples: Int[np.ndarray, "R N"]) -> Float64[np.ndarray, " R"]:
        """The percentage of the first run's concepts with a counterpart."""
        shares: Float64[np.ndarray, " R"] = 100 * (self(resamples) >= COUNTERPART).sum(axis=1) / self.size[0]
        return shares

    def new(self, resamples: Int[np.ndarray, "R N"]) -> Float64[np.ndarray, " R"]:
        """The percentage of the second run's concepts without one."""
        shares: Float64[np.ndarray, " R"] = 100 - 100 * (self(resamples) >= COUNTERPART).sum(axis=1) / self.size[1]
        return shares

    def of_pair(self, number: int, resamples: Int[np.ndarray, "R N"]) -> Float64[np.ndarray, " R"]:
        """The overlap of one pair, in percent."""
        overlaps: Float64[np.ndarray, " R"] = 100 * self(resamples)[:, number]
        return overlaps


def _again(run: RunAtK, concepts: Concepts, images: Sequence[str]) -> Overlaps | None:
    """The concepts of a run in those that another seed forms of the same centroids."""
    count = len(concepts["concepts"])
    formed = form(run.results, count, run.run.record["config"]["seed"] + OTHER)
    if formed is None:
        return None
    others = dict(formed.images())
    maps = ((run.read_map(one), np.array(concepts["images"][one]), np.array(others[one])) for one in images)
    tables = _stacked(shared_pixels(labels, own, labels, other, (count, count)) for labels, own, other in maps)
    return Overlaps.of(tables, (count, count))


def shared_pixels(
    before: UInt8[np.ndarray, "H W"],
    concepts: Int[np.ndarray, " K"],
    after: UInt8[np.ndarray, "H W"],
    others: Int[np.ndarray, " L"],
    size: tuple[int, int],
) -> Int64[np.ndarray, "A B"]:
    """Counts the pixels that each concept of a map shares with each one of another map of the image.

    ``size`` holds the numbers of all concepts of both.
    """
    cells = concepts[before].astype(np.int64) * size[1] + others[after]
    return np.bincount(cells.ravel(), minlength=size[0] * size[1]).reshape(size)


def matched(table: Int64[np.ndarray, "A B"]) -> list[tuple[int, int]]:
    """Pairs of concepts, one to one, by the intersections over union of their pixels."""
    rows, columns = linear_sum_assignment(pair_ious(table), maximize=True)
    return list(zip(rows.tolist(), columns.tolist(), strict=True))


def _stacked(tables: Iterator[Int64[np.ndarray, "A B"]]) -> csr_matrix:
    """One row an image: of a table's cells hardly any is not empty."""
    return csr_matrix(vstack([csr_matrix(table.reshape(1, -1)) for table in tables]))
