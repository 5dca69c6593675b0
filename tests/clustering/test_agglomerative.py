import pytest
import torch
from scipy.ndimage import label

from tests.helpers.parts import activations, composer, engine


@pytest.fixture
def grid() -> torch.Tensor:
    torch.manual_seed(0)
    return torch.nn.functional.interpolate(torch.randn(1, 6, 3, 4), size=(9, 12), mode="bicubic")


def on_grid(grid: torch.Tensor):
    return composer(resolution="grid")(activations([grid], (9, 12)))


def test_seeds_change_nothing(grid: torch.Tensor) -> None:
    first, second = (engine("agglomerative")(on_grid(grid), 4, torch.tensor([seed])) for seed in (0, 1))
    assert torch.equal(first.labels, second.labels)


def test_bands_are_found_whole() -> None:
    bands = torch.eye(3).repeat_interleave(4, dim=1)[None, :, None].expand(1, 3, 9, 12).contiguous()
    labels = engine("agglomerative")(on_grid(bands), 3, torch.tensor([0])).labels[0]
    assert [len(labels[:, band].unique()) for band in (slice(0, 4), slice(4, 8), slice(8, 12))] == [1, 1, 1]
    assert len(labels.unique()) == 3


def test_more_clusters_than_points_leaves_each_point_alone(grid: torch.Tensor) -> None:
    labels = engine("agglomerative")(on_grid(grid[..., :2, :2]), 9, torch.tensor([0])).labels
    assert len(labels.unique()) == 4


def test_two_equal_islands_join_only_when_unconnected() -> None:
    islands = torch.zeros(1, 1, 5, 11)
    islands[..., 1:4, 1:4] = islands[..., 1:4, 7:10] = 1
    apart = engine("agglomerative", connected=False)(on_grid(islands), 2, torch.tensor([0])).labels[0]
    assert label((apart == apart[2, 2]).numpy())[1] == 2


def test_initial_centroids_are_refused(grid: torch.Tensor) -> None:
    with pytest.raises(ValueError, match="takes no initial centroids"):
        engine("agglomerative")(on_grid(grid), 2, torch.tensor([0]), torch.zeros(1, 2, 6))
