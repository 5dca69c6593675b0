"""TokenCut against a slow literal reading of the paper's section 3: its graph, its generalised eigenproblem."""

import numpy as np
import pytest
import torch
from scipy import linalg, ndimage
from threadpoolctl import threadpool_info, threadpool_limits

from tests.helpers.parts import localizer, tokens


def literal(vectors, grid, patch, size, tau, eps):
    count = len(vectors)
    links = np.empty((count, count))
    for p in range(count):
        for q in range(count):
            cosine = np.dot(vectors[p], vectors[q]) / np.linalg.norm(vectors[p]) / np.linalg.norm(vectors[q])
            links[p, q] = 1 if cosine > tau else eps
    degrees = np.diag(links.sum(axis=1))
    values, vectors = linalg.eigh(degrees - links, degrees)
    second = vectors[:, 1]
    farthest, runner_up = np.sort(np.abs(second))[[-1, -2]]
    if values[2] - values[1] < 1e-6 or farthest - runner_up < 1e-6:
        return None  # two solutions are as good: several tokens without any link
    seed = int(np.argmax(np.abs(second)))
    above = second > second.sum() / count
    mask = (above if above[seed] else ~above).reshape(grid)
    regions, _ = ndimage.label(mask)
    rows, columns = np.nonzero(regions == regions[divmod(seed, grid[1])])
    box = [columns.min() * patch, rows.min() * patch, (columns.max() + 1) * patch, (rows.max() + 1) * patch]
    return mask, (box[0], box[1], min(box[2], size[1]), min(box[3], size[0]))


def drawn(generator):
    """A random image and the literal reading's mask and box; drawn again while there are two solutions."""
    while True:
        patch, grid = int(generator.integers(2, 6)), tuple(generator.integers(3, 9, 2).tolist())
        size = tuple(int(side * patch - generator.integers(0, patch)) for side in grid)
        features = generator.normal(size=(4, *grid)).astype(np.float32) + 0.5
        tokencut = localizer("tokencut", tau=float(generator.uniform(0, 0.7)))
        expected = literal(list(features.reshape(4, -1).T), grid, patch, size, tokencut.tau, tokencut.eps)
        if expected is not None:
            return tokencut, torch.from_numpy(features), patch, size, *expected


@pytest.mark.parametrize("seed", range(60))
def test_equals_the_literal_reading(seed):
    tokencut, grid, patch, size, mask, box = drawn(np.random.default_rng(seed))
    padded = (grid.shape[1] * patch, grid.shape[2] * patch)
    labels, localization = tokencut(None, tokens(grid, padded, size))
    assert localization.box == box
    np.testing.assert_array_equal(labels, np.kron(mask, np.ones((patch, patch)))[: size[0], : size[1]])


def test_a_block_is_cut_out_of_its_background():
    grid = torch.zeros(2, 6, 6)
    grid[0] = 1
    grid[:, 2:4, 1:5] = torch.tensor([0.0, 1.0])[:, None, None]
    labels, localization = localizer("tokencut")(None, tokens(grid, (60, 60), (58, 57)))
    assert localization.box == (10, 20, 50, 40)
    assert labels.sum() == 40 * 20


def test_one_token():
    assert localizer("tokencut")(None, tokens(torch.ones(3, 1, 1), (8, 8), (5, 6)))[1].box == (0, 0, 6, 5)


def test_one_thread_solves(monkeypatch):
    """Several fight over the cores of a busy machine: 15 images a second alone, 0.7 beside other work."""
    used = []

    def eigh(*args, **options):
        used.extend(blas_threads())
        return solve(*args, **options)

    def blas_threads():
        return [library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"]

    solve = linalg.eigh
    monkeypatch.setattr("nave.localization.tokencut.scipy.linalg.eigh", eigh)
    with threadpool_limits(3, "blas"):
        before = blas_threads()
        localizer("tokencut")(None, tokens(torch.rand(3, 4, 4), (8, 8), (8, 8)))
        assert blas_threads() == before
    assert set(used) == {1}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"features": "values"}, r"localization\.features='values': choose tokens or keys"),
        ({"tau": 1.0}, r"localization\.tau=1\.0: must be a cosine from -1 to below 1"),
        ({"eps": 0.0}, r"localization\.eps=0\.0: must be above 0"),
    ],
)
def test_invalid_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        localizer("tokencut", **options)
