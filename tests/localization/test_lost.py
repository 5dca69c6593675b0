"""LOST against a slow literal reading of the paper's section 3, token by token."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from tests.helpers.parts import localizer, tokens


def literal(vectors, grid, patch, size, seeds):
    """The mask on the grid, and the box in pixels, from the tokens' ``vectors`` in raster order."""
    count = len(vectors)
    product = [[int(np.dot(p, q)) for q in vectors] for p in vectors]
    degree = [sum(product[p][q] > 0 for q in range(count)) for p in range(count)]
    order = sorted(range(count), key=lambda p: (degree[p], p))
    seed = order[0]
    company = [q for q in order[:seeds] if product[seed][q] > 0]
    mask = np.array([sum(product[p][q] for q in company) > 0 for p in range(count)]).reshape(grid)
    regions, _ = ndimage.label(mask)
    rows, columns = np.nonzero(regions == regions[divmod(seed, grid[1])])
    box = [columns.min() * patch, rows.min() * patch, (columns.max() + 1) * patch, (rows.max() + 1) * patch]
    return mask, (box[0], box[1], min(box[2], size[1]), min(box[3], size[0]))


@pytest.mark.parametrize("seed", range(60))
def test_equals_the_literal_reading(seed):
    generator = np.random.default_rng(seed)
    patch, grid = int(generator.integers(2, 6)), tuple(generator.integers(2, 9, 2).tolist())
    size = tuple(int(side * patch - generator.integers(0, patch)) for side in grid)
    centre = generator.integers(-2, 3, 5)
    features = (generator.integers(-3, 4, (5, *grid)) + centre[:, None, None]).astype(np.float32)
    lost = localizer("lost", centred=False, seeds=int(generator.integers(1, 30)))
    labels, localization = lost(None, tokens(torch.from_numpy(features), (grid[0] * patch, grid[1] * patch), size))
    mask, box = literal(list(features.reshape(5, -1).T), grid, patch, size, lost.seeds)
    assert localization.box == box
    np.testing.assert_array_equal(labels, np.kron(mask, np.ones((patch, patch)))[: size[0], : size[1]])


def test_centring_removes_what_all_tokens_share():
    """A block on a background, all products positive: all tokens are similar unless the mean is subtracted."""
    grid = torch.ones(2, 6, 6)
    grid[1, 2:4, 1:5] = 3
    image = tokens(grid, (60, 60))
    assert localizer("lost", centred=False)(None, image)[1].box == (0, 0, 60, 60)
    assert localizer("lost", centred=True)(None, image)[1].box == (10, 20, 50, 40)


def test_equal_tokens_are_one_object():
    labels, localization = localizer("lost")(None, tokens(torch.ones(3, 2, 3), (8, 12), (7, 10)))
    assert localization.box == (0, 0, 10, 7)
    assert not labels.any()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"features": "queries"}, r"localization\.features='queries': choose tokens or keys"),
        ({"seeds": 0}, r"localization\.seeds=0: must be at least 1"),
    ],
)
def test_invalid_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        localizer("lost", **options)
