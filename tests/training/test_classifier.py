from pathlib import Path

import pytest
import torch
from sklearn.metrics import average_precision_score, roc_auc_score
from torch.nn import functional

from nave.data.sample import Sample
from nave.training.classifier import Classifier, MultiLabel, indices_without, labels_of, metrics, targets
from tests.helpers.datasets import Thing, configured, write_stl10, write_voc

EXCLUSIVE = targets([("a",), ("b",), ("c",)], ("a", "b", "c"), exclusive=True)
MULTIPLE = targets([("a", "b"), (), ("c",)], ("a", "b", "c"), exclusive=False)


def test_the_loss_is_torchs() -> None:
    features = torch.randn(3, 5)
    exclusive, multiple = Classifier(5, EXCLUSIVE, label_smoothing=0.1), Classifier(5, MULTIPLE, label_smoothing=0.0)
    expected = functional.cross_entropy(exclusive(features), EXCLUSIVE.values, label_smoothing=0.1)
    torch.testing.assert_close(exclusive.loss(exclusive(features), EXCLUSIVE.values), expected)
    torch.testing.assert_close(
        exclusive.loss(exclusive(features), EXCLUSIVE.values, smooth=False),
        functional.cross_entropy(exclusive(features), EXCLUSIVE.values),
    )
    expected = functional.binary_cross_entropy_with_logits(multiple(features), MULTIPLE.values)
    torch.testing.assert_close(multiple.loss(multiple(features), MULTIPLE.values), expected)


def test_accuracy_is_the_share_of_right_answers() -> None:
    metric = metrics(EXCLUSIVE)
    metric.update(torch.eye(3)[[0, 1, 0]], EXCLUSIVE.values)
    assert metric.compute()["accuracy"] == pytest.approx(2 / 3)


def test_several_labels_are_ranked_as_scikit_learn_does() -> None:
    generator = torch.Generator().manual_seed(0)
    logits, values = torch.randn(60, 4, generator=generator), torch.rand(60, 4, generator=generator).round()
    values[:, 3] = 0  # a class that no image shows cannot be ranked
    metric = MultiLabel()
    for part in range(3):
        metric.update(logits[part::3], values[part::3])
    values_of = metric.compute()
    given = values[:, :3].numpy(), logits[:, :3].sigmoid().numpy()
    assert values_of["map"] == pytest.approx(average_precision_score(*given), abs=1e-6)
    assert values_of["auroc"] == pytest.approx(roc_auc_score(*given), abs=1e-6)


def test_without_a_ranked_class_there_are_no_metrics() -> None:
    metric = MultiLabel()
    metric.update(torch.randn(2, 2), torch.tensor([[1.0, 0.0], [1.0, 0.0]]))
    assert metric.compute() == {}


BOX = (5.0, 3.0, 20.0, 18.0)


def test_images_that_show_an_excluded_class_are_left_out(tmp_path: Path) -> None:
    things = {"1": [Thing("cat", BOX)], "2": [Thing("cat", BOX), Thing("person", BOX)], "3": [Thing("dog", BOX)]}
    dataset = configured("voc07", root=write_voc(tmp_path, things=things))
    labels = labels_of(dataset)
    assert labels == [("cat",), ("cat", "person"), ("dog",)]
    assert indices_without(dataset, labels, ["person"]) == [0, 2]
    assert indices_without(dataset, labels, ["person", "dog"]) == [0]
    with pytest.raises(ValueError, match="exclude=persn: data=voc07 has no such class; it has: cat, dog, person"):
        indices_without(dataset, labels, ["persn"])
    with pytest.raises(ValueError, match="none of the 3 images of voc07 is left"):
        indices_without(dataset, labels, ["cat", "dog"])


def test_classes_are_unknown_unless_all_are_known(tmp_path: Path) -> None:
    assert labels_of(Sample()) is None
    unlabelled = configured("stl10", root=write_stl10(tmp_path, "unlabeled"), split="unlabeled")
    assert labels_of(unlabelled) is None
    assert indices_without(unlabelled, None, []) == [0, 1, 2]
    with pytest.raises(ValueError, match=r"exclude=\['cat'\]: data=stl10 has images of unknown class"):
        indices_without(unlabelled, None, ["cat"])


def test_one_class_is_an_index_and_several_are_zeros_and_ones() -> None:
    assert targets([("b",), ("a",)], ("a", "b"), exclusive=True).values.tolist() == [1, 0]
    multiple = targets([("b", "a"), (), ("b", "new")], ("a", "b"), exclusive=False)
    assert multiple.values.tolist() == [[1, 1], [0, 0], [0, 1]]
    assert multiple.values.dtype == torch.float32
    with pytest.raises(ValueError, match="validation images show c, which no training image does"):
        targets([("c",)], ("a", "b"), exclusive=True)
