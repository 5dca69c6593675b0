"""Inner products of a composite's grid points: all that k-means needs of the channels.

A point of a composite is a weighted sum of grid points ``f_i``, and so is a mean of points: ``c = sum_i a_i f_i``. With
the Gram matrix ``G_ij = <f_i, f_j>`` every inner product between points and centroids follows from coefficients ``a``.
"""

from dataclasses import dataclass
from functools import reduce

import torch
from jaxtyping import Float, Float64, Int, Int64
from torch import Tensor
from torch.nn import functional

from nave.composite.composite import Block, Composite
from nave.composite.upsampling import Neighbours, overlaps, squared_norms, upsampled_squared_norms

SMALL = 2048  # number of points of one grid that are multiplied even where they have fewer channels: 16 MB an image


@dataclass(frozen=True)
class Gram:
    """Grid points of every block, and their Gram matrices where these are small.

    Args:
        features: of every block, and after them the further points. Minus ``centre``: k-means depends on differences
            alone, and squared norms of points far from zero would lose them in rounding.
        centre: mean of the grid points; zero in a block with a scale, whose points are no means of grid points.
        matrices: of every block; None where ``features`` are multiplied instead.
        further: number of points that do not lie on the grids.
    """

    features: tuple[Float[Tensor, "B _C _m"], ...]
    centre: Float[Tensor, "B 1 D"]
    matrices: tuple[Float[Tensor, "B _m _m"] | None, ...]
    further: int

    @classmethod
    def from_composite(cls, composite: Composite, further: Float[Tensor, "B E D"] | None = None) -> "Gram":
        """Multiplies the grid points of ``composite`` and ``further`` points with each other."""
        count = 0 if further is None else further.shape[1]
        extra = [None] * len(composite.blocks) if further is None else further.split(composite.channels, dim=2)
        centred = [_centred(block, points) for block, points in zip(composite.blocks, extra, strict=True)]
        features = tuple(points for points, _ in centred)
        most = SMALL if len(features) == 1 else 0
        matrices = tuple(F.mT @ F if F.shape[2] <= max(F.shape[1], most) else None for F in features)
        return cls(features, torch.cat([centre for _, centre in centred], dim=2), matrices, count)

    @property
    def sizes(self) -> list[int]:
        """Number of points of every block; their sum is ``M``."""
        return [points.shape[2] for points in self.features]

    def times(self, coefficients: Float[Tensor, "B K M"]) -> Float[Tensor, "B K M"]:
        """Computes the inner products of weighted sums with every point."""
        if len(self.features) == 1:
            return self._times(0, coefficients)
        return torch.cat([self._times(i, a) for i, a in enumerate(coefficients.split(self.sizes, dim=2))], dim=2)

    def _times(self, i: int, coefficients: Tensor) -> Tensor:
        matrix, F = self.matrices[i], self.features[i]
        if matrix is None:
            coefficients, matrix = torch.bmm(coefficients, F.mT), F
        return torch.bmm(coefficients, matrix)

    def centroids(self, coefficients: Float[Tensor, "B K M"]) -> Float[Tensor, "B K D"]:
        """Computes weighted sums of the points themselves, for coefficients whose sum is 1."""
        parts = zip(coefficients.split(self.sizes, dim=2), self.features, strict=True)
        return torch.cat([a @ F.mT for a, F in parts], dim=2) + self.centre

    def further_points(self) -> Float[Tensor, "B E M"]:
        """Returns the coefficients of the further points."""
        device, batch = self.centre.device, len(self.centre)
        parts = [torch.eye(self.further, size, device=device).roll(size - self.further, 1) for size in self.sizes]
        return torch.cat(parts, dim=1).expand(batch, -1, -1).contiguous()

    def longest(self) -> Float[Tensor, " B"]:
        """Returns a bound on the squared norm of every centroid, before centring."""
        norms = reduce(torch.add, map(self._largest, range(len(self.features))))
        length: Tensor = norms.sqrt() + torch.linalg.vector_norm(self.centre, dim=(1, 2))
        return length.square()

    def _largest(self, i: int) -> Float[Tensor, " B"]:
        matrix = self.matrices[i]
        norms = (self.features[i] ** 2).sum(1) if matrix is None else matrix.diagonal(dim1=1, dim2=2)
        return norms.amax(1)

    def images(self, index: Int[Tensor, " b"]) -> "Gram":
        """Selects images of the batch."""
        features = tuple(points[index] for points in self.features)
        matrices = tuple(None if matrix is None else matrix[index] for matrix in self.matrices)
        return Gram(features, self.centre[index], matrices, self.further)


def _centred(block: Block, further: Float[Tensor, "B E C"] | None) -> tuple[Float[Tensor, "B C m"], Tensor]:
    points = block.features.flatten(2)
    centre = points.mean(2, keepdim=True)
    if block.scale is not None:
        centre = torch.zeros_like(centre)
    if further is not None:
        points = torch.cat([points, further.mT], dim=2)
    return points - centre, centre.mT


@dataclass(frozen=True)
class Points:
    """The points of a composite, given by coefficients on the points of ``gram``, which has the same grids."""

    composite: Composite
    gram: Gram

    def upsample(self, products: Float[Tensor, "B K M"]) -> Float[Tensor, "B K H W"]:
        """Converts inner products with the grid points to inner products with the points."""
        pairs = zip(self.composite.blocks, products.split(self.gram.sizes, dim=2), strict=True)
        return reduce(torch.add, (block.upsample(_maps(block, part)) for block, part in pairs))

    def pool(self, masks: Float[Tensor, "B K H W"]) -> Float[Tensor, "B K M"]:
        """Returns the coefficients of sums of points."""
        return self._join([block.adjoint(masks).flatten(2) for block in self.composite.blocks])

    def coefficients(self, index: Int64[Tensor, "B T"]) -> Float[Tensor, "B T M"]:
        """Returns the coefficients of single points, counted row by row."""
        y, x = index // self.composite.size[1], index % self.composite.size[1]
        return self._join([_point(block, y, x) for block in self.composite.blocks])

    def _join(self, parts: list[Tensor]) -> Float[Tensor, "B K M"]:
        if self.gram.further:
            parts = [functional.pad(part, (0, self.gram.further)) for part in parts]
        return parts[0] if len(parts) == 1 else torch.cat(parts, dim=2)

    def squared_norms(self) -> Float[Tensor, "B H W"]:
        """Returns ``|x(p)|^2`` of every point, after centring."""
        return reduce(torch.add, map(self._squared_norms, range(len(self.composite.blocks))))

    def _squared_norms(self, i: int) -> Float[Tensor, "B H W"]:
        block, matrix = self.composite.blocks[i], self.gram.matrices[i]
        if matrix is not None:
            norms = upsampled_squared_norms(_neighbours(block, matrix), block.rows, block.cols)
        else:
            norms = squared_norms(_maps(block, self.gram.features[i]), block.rows, block.cols)
        return norms if block.scale is None else norms * block.scale**2

    def total_squared_norm(self) -> Float64[Tensor, " B"]:
        """Returns ``sum_p |x(p)|^2`` of every image, after centring."""
        return reduce(torch.add, map(self._total, range(len(self.composite.blocks))))

    def _total(self, i: int) -> Float64[Tensor, " B"]:
        block, matrix = self.composite.blocks[i], self.gram.matrices[i]
        if block.scale is not None or matrix is None:
            return self._squared_norms(i).sum((1, 2), dtype=torch.float64)
        pairs = torch.kron(overlaps(block.rows), overlaps(block.cols))
        return (matrix[:, : len(pairs), : len(pairs)] * pairs).sum((1, 2), dtype=torch.float64)

    def images(self, index: Int[Tensor, " b"]) -> "Points":
        """Selects images of the batch."""
        return Points(self.composite.images(index), self.gram.images(index))


def _maps(block: Block, values: Float[Tensor, "B K m"]) -> Float[Tensor, "B K h w"]:
    h, w = block.features.shape[2:]
    return values[:, :, : h * w].reshape(*values.shape[:2], h, w)


def _point(block: Block, y: Int64[Tensor, "B T"], x: Int64[Tensor, "B T"]) -> Float[Tensor, "B T n"]:
    weights = (block.rows[y][:, :, :, None] * block.cols[x][:, :, None]).flatten(2)
    if block.scale is None:
        return weights
    images = torch.arange(len(y), device=y.device)[:, None]
    return weights * block.scale[images, y, x][:, :, None]


def _neighbours(block: Block, matrix: Float[Tensor, "B m m"]) -> Neighbours:
    h, w = block.features.shape[2:]

    def products(dy: int, dx: int) -> Float[Tensor, "B i j"]:
        offset = dy * w + dx
        pairs = matrix[:, : h * w, : h * w].diagonal(offset, dim1=1, dim2=2)
        maps = functional.pad(pairs, (0, offset)).view(-1, h, w)
        start = max(-dx, 0)
        return maps[:, : h - dy, start : start + w - abs(dx)]

    return products
