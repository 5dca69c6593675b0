"""The operators of a composite against dense algebra on the materialised tensor."""

import pytest
import torch

from nave.composite.composite import Block, Composite
from nave.composite.upsampling import upsampling_matrix


def close(actual, expected, tolerance=1e-4):
    torch.testing.assert_close(actual.double(), expected.double(), rtol=tolerance, atol=tolerance)


def check_algebra(composite):
    X, (height, width) = composite.materialise().double(), composite.size
    generator = torch.Generator().manual_seed(1)
    vectors = torch.randn(composite.batch, 3, X.shape[2], generator=generator)
    masks = torch.rand(composite.batch, 3, height, width, generator=generator)
    size = X.norm() + 1
    close(composite.project(vectors).flatten(2) / size, vectors.double() @ X.transpose(1, 2) / size)
    close(composite.pool(masks) / size, masks.flatten(2).double() @ X / size)
    close(composite.squared_norms().flatten(1) / size, (X**2).sum(2) / size)
    close(composite.total_squared_norm() / size**2, (X**2).sum((1, 2)) / size**2)
    pixels = torch.arange(height * width).view(height, width)
    ys, xs = torch.tensor([height - 1, 0]), torch.tensor([0, width // 2, width - 1])
    close(composite.points(ys, xs).materialise(), X[:, pixels[ys][:, xs].flatten()])
    order = torch.arange(composite.batch).flip(0)
    close(composite.images(order).materialise(), X.flip(0))
    for image, one in enumerate(composite.split()):
        close(one.materialise(), X[image : image + 1])


@pytest.mark.parametrize("upsampling", ["bilinear", "bicubic", "nearest"])
@pytest.mark.parametrize("grids", [[(6, 3, 4)], [(6, 6, 8), (9, 3, 4)], [(4, 5, 7), (2, 5, 7), (3, 2, 2)]], ids=str)
@pytest.mark.parametrize("scaled", [False, True])
def test_operators_equal_dense_algebra(upsampling, grids, scaled):
    generator = torch.Generator().manual_seed(0)

    def block(shape):
        scale = torch.rand(2, 40, 47, generator=generator) + 0.5 if scaled else None
        rows, cols = (upsampling_matrix(n, size, upsampling) for n, size in zip(shape[1:], (40, 47), strict=True))
        return Block(torch.randn(2, *shape, generator=generator) + 1, rows, cols, scale)

    check_algebra(Composite(tuple(map(block, grids))))
