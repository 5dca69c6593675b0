import pytest
import torch

from nave.clustering.clusters import Clusters
from nave.clustering.elbow import cluster, elbow
from nave.clustering.factored import Factored
from nave.composer import Composer
from nave.composite import Composite


def test_the_step_that_takes_away_the_largest_share_wins() -> None:
    #                K = 2    3    4    5    6    7    8    9   10
    inertia = [[100.0, 90.0, 20.0, 19.0, 18.0, 17.0, 16.0, 15.0, 14.0], [8.0, 2.0, 1.9, 1.8, 1.7, 1.6, 1.5, 1.4, 1.3]]
    assert elbow(torch.tensor(inertia, dtype=torch.float64)).tolist() == [4, 3]


def test_rounding_noise_after_a_perfect_fit_is_no_step() -> None:
    inertia = torch.tensor([[10.0, 8.0, 4.0, 0.0, 0.0, 0.0, 1e-12, 0.0, 0.0]], dtype=torch.float64)
    assert elbow(inertia).tolist() == [5]


def blobs(number: int) -> Composite:
    """A map of vertical bands, each of one value, far from the others."""
    values = torch.arange(number).repeat_interleave(6).float()
    directions = torch.eye(number)[values.long()].T  # (channels, columns)
    grid = directions[:, None].expand(-1, 6, -1)[None] + 0.01 * torch.randn(1, number, 6, 6 * number)
    return Composer(resolution="grid", normalisation="none").compose({"a": grid}, (6, 6 * number), (6, 6 * number))


@pytest.mark.parametrize("number", [3, 4, 6])
def test_auto_finds_the_number_of_separated_groups(number: int) -> None:
    torch.manual_seed(number)
    found: Clusters = cluster(Factored(n_init=5), blobs(number), "auto", torch.tensor([0]))
    assert len(found.labels.unique()) == number
    assert found.centroids.shape[1] == 10


def test_a_number_is_handed_to_the_engine() -> None:
    composite, seeds = blobs(3), torch.tensor([1])
    assert torch.equal(cluster(Factored(), composite, 2, seeds).labels, Factored()(composite, 2, seeds).labels)
