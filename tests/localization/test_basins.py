"""Basins against a literal reference."""

import numpy as np
import pytest
from scipy import ndimage

from nave.localization.basins import Flood
from tests.localization.test_instances import hills


def literal_basins(heights: np.ndarray, base: float, prominence: float) -> list[set[int]]:
    """Floods one point at a time, with sets."""
    rows, columns = heights.shape
    flat = heights.ravel()
    sets: list[set[int]] = []
    for point in sorted(np.flatnonzero(flat > base), key=lambda p: (-flat[p], p)):
        row, column = divmod(int(point), columns)
        steps = [(row - 1, column), (row, column - 1), (row, column + 1), (row + 1, column)]
        near = [r * columns + c for r, c in steps if 0 <= r < rows and 0 <= c < columns]
        touched = [(max((flat[n], -n) for n in near if n in one), one) for one in sets if one & set(near)]
        if not touched:
            sets.append({int(point)})
            continue
        own = max(touched, key=lambda pair: pair[0])[1]
        own.add(int(point))
        for _, other in touched:
            if other is own or all(other is not one for one in sets):
                continue
            lower, higher = sorted((own, other), key=lambda one: max(flat[p] for p in one))
            if max(flat[p] for p in lower) - flat[point] < prominence:
                higher |= lower
                sets.remove(lower)
                own = higher
    return sets


@pytest.mark.parametrize("prominence", [0.0, 0.3, 1.0, 100.0])
@pytest.mark.parametrize("seed", range(3))
def test_basins_are_those_of_a_literal_flood(seed: int, prominence: float) -> None:
    noise = np.random.default_rng(seed).normal(size=(14, 19))
    heights = ndimage.gaussian_filter(noise, 1.2) * 5
    ids = Flood.of(heights, -0.2).basins(prominence)
    found = {frozenset(np.flatnonzero(ids.ravel() == basin).tolist()) for basin in range(ids.max() + 1)}
    assert found == {frozenset(one) for one in literal_basins(heights, -0.2, prominence)}


@pytest.mark.parametrize("prominence", [0.3, 1.0, 100.0])
@pytest.mark.parametrize("seed", range(3))
def test_slopes_are_those_of_the_basins(seed: int, prominence: float) -> None:
    random = np.random.default_rng(seed)
    heights, weights = ndimage.gaussian_filter(random.normal(size=(14, 19)), 1.2) * 5, random.normal(size=(14, 19))
    flood = Flood.of(heights, -0.2)
    parts = flood.slopes(weights, (-0.2, 0.4)).parts(prominence=prominence)
    ids = flood.basins(prominence)
    assert len(parts.area) == ids.max() + 1
    assert parts.area.tolist() == np.bincount(ids[ids >= 0]).tolist()
    np.testing.assert_allclose(parts.total, np.bincount(ids[ids >= 0], weights[ids >= 0]))
    boxes = [(x.start, y.start, x.stop, y.stop) for y, x in ndimage.find_objects(ids + 1)]
    assert parts.extents.tolist() == [list(box) for box in boxes]


@pytest.mark.parametrize("seed", range(3))
def test_parts_above_a_level_are_the_connected_ones(seed: int) -> None:
    random = np.random.default_rng(seed)
    heights, weights = ndimage.gaussian_filter(random.normal(size=(14, 19)), 1.2) * 5, random.normal(size=(14, 19))
    levels = (-0.5, 0.0, 0.7, 50.0)
    slopes = Flood.of(heights, -0.5).slopes(weights, levels)
    for number, level in enumerate(levels):
        ids, count = ndimage.label(heights > level)
        sums = np.bincount(ids.ravel(), weights.ravel(), minlength=count + 1)[1:]
        expected = {
            ((x.start, y.start, x.stop, y.stop), int((ids == n).sum()), round(sums[n - 1], 9))
            for n, (y, x) in enumerate(ndimage.find_objects(ids), start=1)
        }
        found = slopes.parts(number)
        rows = zip(found.extents.tolist(), found.area.tolist(), found.total.tolist(), strict=True)
        assert {(tuple(extent), area, round(total, 9)) for extent, area, total in rows} == expected


def test_a_valley_parts_two_objects_and_a_ripple_does_not() -> None:
    two = hills((10, 8), (10, 18))
    assert Flood.of(two, -2.9).basins(1.0).max() == 1
    assert Flood.of(two, -2.9).basins(100.0).max() == 0
    ripple = np.maximum(two, np.where(np.hypot(*(np.mgrid[:20, :30] - np.array([[[10]], [[13]]]))) < 6, 2.5, -9.0))
    assert Flood.of(ripple, 0.0).basins(1.0).max() == 0


def test_nothing_above_the_base_has_no_basin() -> None:
    assert (Flood.of(np.full((4, 5), -1.0), 0.0).basins(1.0) == -1).all()
