import random
from pathlib import Path

import numpy as np
import pytest
import torch
from torchvision.transforms import v2

from nave.data.folder import Folder
from nave.data.interface import MalformedDataError
from nave.training.classifier import labels_of, targets
from nave.training.data import EpochSampler, TrainingData, TrainingImages, seeded, single_view
from tests.helpers.datasets import configured, write_stl10

STRONG = single_view(v2.Compose([v2.RandomResizedCrop(16), v2.RandomHorizontalFlip(), v2.TrivialAugmentWide()]))


def images(root: Path, count: int = 20, seed: int = 0) -> TrainingImages:
    dataset = configured("stl10", root=write_stl10(root, count=count))
    labels = labels_of(dataset)
    assert labels is not None
    known = targets(labels, sorted({name for shown in labels for name in shown}), exclusive=True)
    return TrainingImages(dataset, range(count), known, STRONG, seed)


def test_a_view_depends_only_on_seed_epoch_and_image(tmp_path: Path) -> None:
    first, other = images(tmp_path), images(tmp_path, seed=1)
    torch.rand(3)
    (again,) = first[0, 3][0]
    assert torch.equal(again, first[0, 3][0][0])
    assert not torch.equal(again, first[1, 3][0][0])
    assert not torch.equal(again, other[0, 3][0][0])
    assert (again.dtype, again.shape) == (torch.uint8, (3, 16, 16))


def test_seeding_restores_the_generators() -> None:
    torch.manual_seed(1)
    np.random.seed(1)
    random.seed(1)
    expected = (torch.rand(1), np.random.rand(), random.random())
    torch.manual_seed(1)
    np.random.seed(1)
    random.seed(1)
    with seeded(5):
        torch.rand(4), np.random.rand(), random.random()
    assert (torch.rand(1), np.random.rand(), random.random()) == expected


def test_every_epoch_has_its_own_order() -> None:
    sampler = EpochSampler(range(10), 1, 0, seed=3)  # type: ignore[arg-type]
    orders = []
    for epoch in (0, 1, 0):
        sampler.set_epoch(epoch)
        orders.append([position for item_epoch, position in sampler if item_epoch == epoch])
    assert orders[0] == orders[2] != orders[1]
    assert sorted(orders[1]) == list(range(10))


@pytest.mark.parametrize(("count", "batches"), [(20, [8, 8]), (5, [5])])
def test_an_incomplete_batch_is_dropped_unless_it_is_the_only_one(
    tmp_path: Path, count: int, batches: list[int]
) -> None:
    data = TrainingData(images(tmp_path, count), None, batch_size=8, num_workers=0, seed=0)
    assert [len(values) for _, values in data.train_dataloader()] == batches
    assert data.val_dataloader() == []
    assert sum(len(values) for _, values in data.in_order(data.train)) == count


def test_an_image_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "text.jpg").write_text("no image")
    broken = TrainingImages(Folder(tmp_path), [0], None, STRONG, 0)
    with pytest.raises(ValueError, match=r"text: not an image.*take it out of the data set"):
        broken[0, 0]


@pytest.mark.parametrize("workers", [0, 1])
def test_an_image_that_cannot_be_read_is_one_line_from_a_process_too(tmp_path: Path, workers: int) -> None:
    (tmp_path / "text.jpg").write_text("no image")
    broken = TrainingImages(Folder(tmp_path), [0], None, STRONG, 0)
    data = TrainingData(broken, None, batch_size=2, num_workers=workers, seed=0)
    with pytest.raises(MalformedDataError) as caught:
        list(data.train_dataloader())
    assert str(caught.value).startswith("text: not an image")
    assert "\n" not in str(caught.value)
