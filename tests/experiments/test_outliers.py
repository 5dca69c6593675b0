import numpy as np
import pytest
import torch

from experiments.registers.outliers import at_pixels, clusters_spent, outliers


def test_planted_outliers_are_found_whatever_the_scale():
    grid = torch.nn.functional.normalize(torch.randn(2, 16, 6, 8, generator=torch.Generator().manual_seed(0)), dim=1)
    planted = torch.zeros(2, 6, 8, dtype=torch.bool)
    planted[0, 1, 2] = planted[1, 5, 7] = planted[1, 0, 0] = True
    grid[planted[:, None].expand_as(grid)] *= 10
    assert (outliers(grid * torch.tensor([1.0, 1000.0])[:, None, None, None]) == planted).all()


def test_without_outliers_none_are_found():
    assert not outliers(torch.ones(1, 4, 5, 5)).any()


def test_tokens_cover_their_pixels():
    tokens = torch.tensor([[[False, True], [False, False]]])
    assert at_pixels(tokens, (4, 4), (3, 3))[0].tolist() == [[False, False, True]] * 2 + [[False] * 3]


def test_a_cluster_is_spent_that_is_half_of_outliers():
    labels = np.array([[0, 0, 0, 0], [1, 1, 2, 3]], np.uint8)
    outlying = np.array([[True, False, False, False], [True, False, True, False]])
    assert clusters_spent(labels, outlying) == pytest.approx(2 / 4)


def test_a_factor_that_most_tokens_pass_is_refused():
    with pytest.raises(ValueError, match=r"factor=1.*more than 1"):
        outliers(torch.ones(1, 1, 2, 2), factor=1)
