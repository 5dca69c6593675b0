"""Against torchmetrics' Jaccard index of the renamed groups, and brute force over all matchings."""

from itertools import permutations

import numpy as np
import pytest
import torch
from torchmetrics.classification import MulticlassJaccardIndex

from nave.metrics import MatchedClassIoU


def maps(seed, groups, classes, images=4):
    generator = torch.Generator().manual_seed(seed)
    truth = torch.randint(0, classes, (images, 9, 7), generator=generator)
    found = (truth + torch.randint(0, 2, truth.shape, generator=generator)) % groups
    truth[torch.rand(truth.shape, generator=generator) < 0.1] = 255
    return found, truth


def accumulated(found, truth, groups, classes):
    metric = MatchedClassIoU(groups, classes)
    for one, other in zip(found, truth, strict=True):
        metric.update(one, other)
    return metric


@pytest.mark.parametrize("seed", range(20))
def test_equals_torchmetrics_once_groups_are_renamed(seed):
    found, truth = maps(seed, 5, 5)
    result = accumulated(found, truth, 5, 5).compute()
    class_of = torch.tensor(result.groups).argsort()
    each = MulticlassJaccardIndex(5, average="none", ignore_index=255)(class_of[found], truth)
    assert result.ious == pytest.approx(tuple(each.tolist()), abs=1e-6)
    assert result.miou == pytest.approx(each.mean().item(), abs=1e-6)


@pytest.mark.parametrize("seed", range(20))
def test_no_other_matching_is_better(seed):
    found, truth = maps(seed, 4, 4)
    result = accumulated(found, truth, 4, 4).compute()
    jaccard = MulticlassJaccardIndex(4, ignore_index=255)
    best = max(jaccard(torch.tensor(names)[found], truth).item() for names in permutations(range(4)))
    assert result.miou == pytest.approx(best, abs=1e-6)


def test_one_pass_equals_many_and_any_order():
    found, truth = maps(0, 5, 5)
    whole = MatchedClassIoU(5, 5)
    whole.update(found, truth)
    assert whole.compute() == accumulated(found.flip(0), truth.flip(0), 5, 5).compute()


def test_memory_does_not_grow_with_images():
    metric = accumulated(*maps(0, 21, 21, images=50), 21, 21)
    assert [state.shape for state in metric.metric_state.values()] == [(21, 21)]


def test_classes_that_do_not_occur_are_left_out_and_unmatched_ones_score_nothing():
    truth = torch.tensor([[0, 0, 1, 1, 3, 3]])
    metric = MatchedClassIoU(groups=2, classes=4)
    metric.update(torch.tensor([[0, 0, 1, 1, 1, 1]]), truth)
    result = metric.compute()
    assert result.ious in ((1, 0.5, None, 0), (1, 0, None, 0.5))
    assert result.miou == 0.5
    assert result.groups[0] == 0


def test_nothing_but_void_has_no_figure():
    metric = MatchedClassIoU(2, 2)
    metric.update(torch.zeros(3, 3, dtype=torch.int64), torch.full((3, 3), 255))
    assert metric.compute().miou is None


@pytest.mark.parametrize(("found", "true", "message"), [(2, 0, "group ids run from 2"), (0, 9, "class ids run from 9")])
def test_ids_out_of_range_are_refused(found, true, message):
    with pytest.raises(ValueError, match=message):
        MatchedClassIoU(2, 2).update(torch.full((2, 2), found), torch.full((2, 2), true))


def test_numpy_maps_of_small_integers_are_taken():
    metric = MatchedClassIoU(2, 2)
    truth = torch.from_numpy(np.array([[0, 1], [255, 1]], np.uint8))
    metric.update(torch.tensor([[1, 0], [0, 0]]), truth)
    assert metric.compute().ious == (1, 1)
