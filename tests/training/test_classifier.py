import pytest
import torch
from sklearn.metrics import average_precision_score, roc_auc_score
from torch.nn import functional

from nave.training.classifier import Classifier, MultiLabel, metrics
from nave.training.targets import targets

ONE = targets([("a",), ("b",), ("c",)], ("a", "b", "c"), exclusive=True)
SEVERAL = targets([("a", "b"), (), ("c",)], ("a", "b", "c"), exclusive=False)


def test_the_loss_is_torchs() -> None:
    features = torch.randn(3, 5)
    one, several = Classifier(5, ONE, label_smoothing=0.1), Classifier(5, SEVERAL)
    expected = functional.cross_entropy(one(features), ONE.values, label_smoothing=0.1)
    torch.testing.assert_close(one.loss(one(features), ONE.values), expected)
    torch.testing.assert_close(
        one.loss(one(features), ONE.values, smooth=False), functional.cross_entropy(one(features), ONE.values)
    )
    expected = functional.binary_cross_entropy_with_logits(several(features), SEVERAL.values)
    torch.testing.assert_close(several.loss(several(features), SEVERAL.values), expected)


def test_accuracy_is_the_share_of_right_answers() -> None:
    metric = metrics(ONE)
    metric.update(torch.eye(3)[[0, 1, 0]], ONE.values)
    assert metric.compute()["accuracy"] == pytest.approx(2 / 3)


def test_several_labels_are_ranked_as_scikit_learn_does() -> None:
    generator = torch.Generator().manual_seed(0)
    logits, values = torch.randn(60, 4, generator=generator), torch.rand(60, 4, generator=generator).round()
    values[:, 3] = 0  # nothing can be said of a class that is never there
    metric = MultiLabel()
    for part in range(3):
        metric.update(logits[part::3], values[part::3])
    found = metric.compute()
    given = values[:, :3].numpy(), logits[:, :3].sigmoid().numpy()
    assert found["map"] == pytest.approx(average_precision_score(*given), abs=1e-6)
    assert found["auroc"] == pytest.approx(roc_auc_score(*given), abs=1e-6)


def test_nothing_is_said_where_nothing_can_be() -> None:
    metric = MultiLabel()
    metric.update(torch.randn(2, 2), torch.tensor([[1.0, 0.0], [1.0, 0.0]]))
    assert metric.compute() == {}
