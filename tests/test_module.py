"""predict_step from images to explanations, with a tiny random encoder."""

import dataclasses

import numpy as np
import pytest
import torch
from lightning import Callback, Trainer
from torch.utils.data import DataLoader

from nave.clustering.interface import Clusters
from nave.data.datamodule import Batch
from nave.encoder.activation_cache import ActivationCache
from nave.encoder.encoder import Encoder
from nave.encoder.hooks import NonFiniteError
from nave.module import Explainer, by_size, image_seeds
from tests.helpers.parts import UNTRAINED, composer, factored, nave_localizer

IDS = ["cat", "trip/beach", "dog"]


def explainer(architecture="test_vit", ks=(3,), clustering=None, **composite):
    options = {"dynamic_img_size": True} if architecture == "test_vit" else {}
    encoder = Encoder("tiny", architecture, [-2, -1], UNTRAINED, options=options)
    localizer = nave_localizer(min_area=30, border=2)
    return Explainer(encoder, composer(**composite), clustering or factored(), localizer, ks, seed=0).eval()


def batch(ids=IDS, size=(90, 121)):
    """Images of a bright box on a dark background; an image depends on its id alone."""
    images = []
    for image_id in ids:
        noise = np.random.default_rng(sum(image_id.encode()))
        image = noise.integers(0, 60, (3, *size))
        y, x = noise.integers(5, 40, 2)
        image[:, y : y + 40, x : x + 50] += 150
        images.append(torch.from_numpy(image.astype(np.uint8)))
    sizes = [(2 * size[0], 2 * size[1])] * len(ids)
    return Batch(list(ids), list(range(len(ids))), torch.stack(images), sizes, [None] * len(ids), [])


def empty_batch():
    nothing = torch.empty((0, 3, 0, 0), dtype=torch.uint8)
    return Batch([], [], nothing, [], [], [(0, "broken", "truncated")])


def test_seeds_of_images_do_not_change():
    """They are part of every result: another seed changes every map."""
    assert image_seeds(["cat", "dog"], 0).tolist() == [54478660016469817, 9560291628683563]


def test_seeds_differ_between_images_and_runs():
    seeds = [image_seeds([image_id], seed).item() for image_id in (*IDS, "0", "") for seed in (0, 1, 10)]
    assert len(set(seeds)) == len(seeds)
    assert min(seeds) >= 0


def test_clusters_are_ordered_by_decreasing_size():
    labels = torch.tensor([[[2, 2, 2], [0, 0, 3]], [[1, 1, 1], [1, 0, 0]]], dtype=torch.uint8)
    centroids = torch.arange(8.0).view(2, 4, 1)
    tail = torch.tensor([1.0, 2.0], dtype=torch.float64), torch.tensor([3, 4])
    ranked = by_size(Clusters(labels, centroids, *tail))
    assert ranked.labels.tolist() == [[[0, 0, 0], [1, 1, 2]], [[0, 0, 0], [0, 1, 1]]]
    assert ranked.labels.dtype == torch.uint8
    assert ranked.centroids[:, :, 0].tolist() == [[2, 0, 3, 1], [5, 4, 6, 7]]
    assert torch.equal(ranked.inertia, tail[0])
    assert torch.equal(ranked.iterations, tail[1])


def test_clusters_of_one_size_keep_their_order():
    labels = torch.tensor([[[1, 0, 2, 2]]], dtype=torch.uint8)
    ranked = by_size(Clusters(labels, torch.zeros(1, 3, 1), torch.zeros(1, dtype=torch.float64), torch.zeros(1).long()))
    assert ranked.labels.tolist() == [[[2, 1, 0, 0]]]


def test_explanations_describe_their_images():
    explanations = explainer(ks=(2, 4)).explain(batch())
    assert [(e.image_id, e.k, e.index) for e in explanations] == [
        (image_id, k, i) for i, image_id in enumerate(IDS) for k in (2, 4)
    ]
    for explanation in explanations:
        assert explanation.labels.shape == (90, 121)
        assert explanation.size == (180, 242)
        sizes = np.bincount(explanation.labels.ravel())
        assert len(sizes) <= explanation.k
        assert (np.diff(sizes) <= 0).all()
        assert explanation.centroids.shape == (len(sizes), 128)
        assert explanation.inertia > 0


@pytest.mark.parametrize("architecture", ["test_vit", "test_resnet"])
@pytest.mark.parametrize("composite", [{}, {"resolution": "grid", "normalisation": "l2"}], ids=str)
def test_an_image_has_the_same_map_in_every_batch(architecture, composite):
    model = explainer(architecture, **composite)
    together = {e.image_id: e for e in model.explain(batch())}
    for ids in (["dog"], ["dog", "trip/beach"], ["fox", "cat"]):
        for alone in model.explain(batch(ids)):
            if alone.image_id in together:
                agreement = (alone.labels == together[alone.image_id].labels).mean()
                assert agreement > 0.999  # the encoder's own rounding depends on the batch
                np.testing.assert_allclose(alone.centroids, together[alone.image_id].centroids, rtol=1e-2, atol=1e-2)


def test_the_same_batch_gives_the_same_bytes():
    first, again = (explainer().explain(batch()) for _ in range(2))
    for before, after in zip(first, again, strict=True):
        assert before.labels.tobytes() == after.labels.tobytes()
        assert before.inertia == after.inertia
        assert before.localization == after.localization


def test_a_batch_of_unreadable_images_has_no_explanations():
    assert explainer().explain(empty_batch()) == []


def test_reduced_precision_does_not_reach_the_clustering():
    """Under autocast the encoder's products are bfloat16, those of k-means are not."""
    model = explainer()
    products = {"encoder": None, "clustering": None}
    square = torch.ones(2, 2)
    model.encoder.register_forward_hook(lambda *_: products.update(encoder=(square @ square).dtype))

    def clustering(*arguments):
        products["clustering"] = (square @ square).dtype
        return factored()(*arguments)

    model.clustering = clustering
    with torch.autocast("cpu", torch.bfloat16):
        explanations = model.explain(batch())
    assert products == {"encoder": torch.bfloat16, "clustering": torch.float32}
    assert all(np.isfinite(e.inertia) for e in explanations)


@pytest.mark.filterwarnings("ignore:The `srun` command is available")
@pytest.mark.filterwarnings("ignore:.*does not have many workers", "ignore:.*LeafSpec:FutureWarning")
def test_lightning_predicts_with_it():
    """As in ``nave.run``, but in bfloat16, which takes another path through Lightning."""

    class Recorder(Callback):
        def on_predict_batch_end(self, *arguments):
            batches.append([e.image_id for e in arguments[2]()])

    batches = []
    model, loader = explainer(), DataLoader([batch(), empty_batch(), batch(["fox"])], batch_size=None)
    trainer = Trainer(
        accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, precision="bf16-mixed", callbacks=[Recorder()],
    )  # fmt: skip
    trainer.predict(model, loader, return_predictions=False)
    assert batches == [IDS, [], ["fox"]]
    assert model.stages.seconds.keys() == {"encoder", "clustering"}
    assert min(model.stages.seconds.values()) > 0


def test_an_explanation_is_immutable():
    explanation = explainer().explain(batch(["cat"]))[0]
    with pytest.raises(dataclasses.FrozenInstanceError):
        explanation.k = 7


def overflowing(model, factor):
    """The encoder with a last block that gives values beyond float16, or beyond float32."""
    norm = model.encoder.network.blocks[-1].ls2 = torch.nn.Module()
    norm.forward = lambda x: factor * x
    return model


def test_an_activation_that_is_no_number_ends_the_run_by_name():
    model = overflowing(explainer(), float("nan"))
    with pytest.raises(NonFiniteError, match=r"of blocks\.5 are NaN or infinite for cat, trip/beach, dog"):
        model.explain(batch())


def test_overflow_in_a_cache_of_half_precision_is_an_error_at_once_and_when_read(tmp_path):
    model = overflowing(explainer(), 1e7)
    assert len(model.explain(batch(["cat"]))) == 1
    for _ in range(2):
        model.cache = ActivationCache(tmp_path, "float16")
        with pytest.raises(NonFiniteError, match=r"blocks\.5 .* for cat: .*cache_dtype=float32"):
            model.explain(batch(["cat"]))


def test_overflow_under_autocast_is_an_error():
    model = overflowing(explainer(), 1e7)
    with torch.autocast("cpu", torch.float16), pytest.raises(NonFiniteError, match=r"trainer\.precision=32-true"):
        model.explain(batch(["cat"]))
