"""Products and coefficients of grid points against dense algebra on the materialised composite."""

import pytest
import torch

from nave.clustering.gram import Gram, Points
from nave.clustering.sampling import grid_points
from nave.composite.composite import Block, Composite
from nave.composite.upsampling import upsampling_matrix
from tests.helpers.clustering import composite

COMPOSITES = [
    {},
    {"grids": "two grids"},
    {"normalisation": "l2"},
    {"upsampling": "bicubic"},
    {"upsampling": "nearest"},
    {"resolution": "grid"},
]


def many_channels(channels=200):
    """More channels than grid points, so that the Gram matrix is kept."""
    features = torch.randn(2, channels, 4, 5, generator=torch.Generator().manual_seed(0)) + 1
    rows, cols = upsampling_matrix(4, 20, "bilinear")[:18], upsampling_matrix(5, 25, "bilinear")
    return Composite((Block(features, rows, cols),))


PROBLEMS = [*(composite(**options) for options in COMPOSITES), many_channels()]


@pytest.mark.parametrize("further", [0, 3])
@pytest.mark.parametrize("problem", PROBLEMS)
def test_products_and_coefficients_are_those_of_the_points(problem, further):
    generator = torch.Generator().manual_seed(1)
    extra = torch.randn(2, further, sum(problem.channels), generator=generator) if further else None
    points = Points(problem, Gram.from_composite(problem, extra))
    X = problem.materialise().double()
    index = torch.randint(X.shape[1], (2, 4), generator=generator)
    coefficients, centred = points.coefficients(index), X - points.gram.centre
    close(points.gram.centroids(coefficients), X.gather(1, index[:, :, None].expand(-1, -1, X.shape[2])))
    products = points.upsample(points.gram.times(coefficients)).flatten(2)
    own = centred.gather(1, index[:, :, None].expand(-1, -1, X.shape[2]))
    close(products, own @ centred.mT)
    close(points.squared_norms().flatten(1), (centred**2).sum(2))
    close(points.total_squared_norm(), (centred**2).sum((1, 2)))
    masks = (torch.rand(2, 3, *problem.size, generator=generator) > 0.5).float()
    means = points.pool(masks) / masks.sum((2, 3))[:, :, None]
    close(points.gram.centroids(means), masks.flatten(2).double() @ X / masks.double().sum((2, 3))[:, :, None])
    if extra is not None:
        close(points.gram.centroids(points.gram.further_points()), extra)


def close(actual, expected):
    scale = float(expected.abs().max())
    torch.testing.assert_close(actual.double() / scale, expected.double() / scale, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("problem", PROBLEMS)
def test_no_centroid_is_longer_than_the_bound(problem):
    bound = Gram.from_composite(problem).longest()
    assert (bound * (1 + 1e-5) >= grid_points(problem).materialise().square().sum(2).amax(1)).all() or any(
        block.scale is not None for block in problem.blocks
    )


def test_the_smaller_of_features_and_products_is_multiplied():
    assert Gram.from_composite(many_channels(20)).matrices[0] is not None
    assert Gram.from_composite(many_channels(19)).matrices[0] is None
