"""The ingredients of the foreground head, one by one: which regions are candidates, and what judges them."""

from collections.abc import Callable, Iterator
from itertools import combinations

import numpy as np
from jaxtyping import Float64, Int32, Int64, UInt8
from scipy import ndimage

from nave.data.input_size import InputSize
from nave.localization.basins import Flood, Parts
from nave.localization.foreground import Foreground
from nave.localization.instances import PROMINENCE, Grid, scan
from nave.localization.interface import resized
from nave.localization.objectness import Objectness, border_shares
from nave.metrics.prediction import overlaps
from nave.runs.prediction import Line
from nave.runs.reader import RunAtK

Regions = Int32[np.ndarray, "y x"]  # the number of every point's region, from 0; negative where there is none
Candidates = Callable[[Grid, UInt8[np.ndarray, "y x"]], Iterator[Regions]]
Boxes = Int64[np.ndarray, "n 4"]
Scores = Float64[np.ndarray, " n"]
Judge = Callable[[Grid, Regions, float], tuple[Boxes, Scores]]


def of_clusters(grid: Grid, labels: UInt8[np.ndarray, "y x"]) -> Iterator[Regions]:  # noqa: ARG001 - as the others
    """The regions of every cluster and of every two clusters: the candidates of today's rule."""
    clusters = [labels == cluster for cluster in np.unique(labels)]
    yield from (ndimage.label(mask)[0] - 1 for mask in clusters)
    yield from (ndimage.label(one | other)[0] - 1 for one, other in combinations(clusters, 2))


def of_head(grid: Grid, labels: UInt8[np.ndarray, "y x"]) -> Iterator[Regions]:  # noqa: ARG001 - as the others
    """The connected parts of the head's map above logit 0, which are not split."""
    yield ndimage.label(grid.logits > 0)[0] - 1


def instances(grid: Grid, labels: UInt8[np.ndarray, "y x"]) -> Iterator[Regions]:  # noqa: ARG001 - as the others
    """The basins of the prominent peaks of the head's map."""
    yield Flood.of(grid.logits, 0.0).basins(PROMINENCE)


def by_head(grid: Grid, regions: Regions, smallest: float) -> tuple[Boxes, Scores]:
    """Judges regions by what the head sees in them."""
    found = measure(regions, np.tanh(grid.logits))
    return found.extents[found.area > smallest], scan(found, regions.size)[found.area > smallest]


def measure(regions: Regions, weights: Float64[np.ndarray, "y x"]) -> Parts:
    """Measures the regions of a map."""
    inside = regions >= 0
    extents = [(x.start, y.start, x.stop, y.stop) for y, x in ndimage.find_objects(regions + 1)]
    area, total = np.bincount(regions[inside]), np.bincount(regions[inside], weights[inside])
    return Parts(np.array(extents, np.int64).reshape(-1, 4), area, total)


def by_prior(objectness: Objectness) -> Judge:
    """Judges regions by where they lie, as today's rule does; border and centre are those of the region itself."""

    def judge(grid: Grid, regions: Regions, smallest: float) -> tuple[Boxes, Scores]:
        found = measure(regions, np.zeros(grid.logits.shape))
        kept = np.flatnonzero(found.area > smallest)
        numbered = np.searchsorted(kept, regions) + 1
        own = np.where(np.isin(regions, kept), numbered, 0).astype(np.uint8)  # few are large
        prior = np.outer(*objectness.prior((own.shape[0], own.shape[1])))
        centred = np.bincount(own.ravel(), prior.ravel(), minlength=len(kept) + 1)[1:]
        border = border_shares(own, len(kept) + 1)[1:]
        return found.extents[kept], objectness(centred, border, found.area[kept] / own.size)

    return judge


INGREDIENTS: tuple[tuple[str, Candidates, bool], ...] = (  # name, candidates, whether the head judges them
    ("head alone (clusters and pairs, judged by the head)", of_clusters, True),
    ("parts of the head's map alone (judged by the prior)", of_head, False),
    ("instances alone (judged by the prior)", instances, False),
    ("both, not split (parts of the head's map, judged by the head)", of_head, True),
    ("both, split, without votes (instances, judged by the head)", instances, True),
)


def best_overlaps(run: RunAtK, candidates: Candidates, by: Judge, rule: RunAtK) -> dict[str, float]:
    """The overlap with the best true box, by image, if the best candidate is the one box; else that of ``rule``.

    Args:
        run: with a head.
        candidates: the regions of an image.
        by: what judges them.
        rule: the same run without a head, whose box stays where no candidate scores above 0.
    """
    config = run.run.record["config"]
    input_size = InputSize.of(config["image_size"], config["longer_side"])
    found = {}
    for image_id, line in run.lines.items():
        if line["truth"] is None or not line["truth"]["boxes"]:
            continue
        labels = resized(run.read_map(image_id), input_size((line["height"], line["width"])))
        box = _best(labels, line, candidates, by, config["localization"]["min_area"])
        scale = np.array([line["width"] / labels.shape[1], line["height"] / labels.shape[0]] * 2)
        boxes = [rule.lines[image_id]["box"]] if box is None else [box * scale]
        truth = np.array(line["truth"]["boxes"], np.float64)
        found[image_id] = float(overlaps([np.array(boxes, np.float64)], [truth])[0].max())
    return found


def _best(
    labels: UInt8[np.ndarray, "H W"], line: Line, candidates: Candidates, by: Judge, min_area: int
) -> Int64[np.ndarray, "4"] | None:
    grid = Grid.of(Foreground.from_line(line["foreground"]), (labels.shape[0], labels.shape[1]))
    smallest = min_area / (grid.cell[0] * grid.cell[1])
    judged = [by(grid, regions, smallest) for regions in candidates(grid, grid.at_points(labels))]
    extents, scores = (np.concatenate(parts) for parts in zip(*judged, strict=True))
    if not len(scores) or scores.max() <= 0:
        return None
    best: Int64[np.ndarray, "4"] = grid.boxes(extents[[scores.argmax()]])[0]
    return best
