import numpy as np
import pytest

from nave.data.interface import Dataset, Masked
from nave.data.shapes import CLASSES
from tests.helpers.datasets import configured


def test_equal_arguments_give_equal_images_and_others_differ():
    first, again = configured("shapes", split="test", images=6), configured("shapes", split="test", images=6)
    others = [configured("shapes", split="train", images=6), configured("shapes", split="test", images=6, seed=1)]
    for index in range(6):
        pixels = np.asarray(first.image(index))
        assert (pixels == np.asarray(again.image(index))).all()
        assert all((pixels != np.asarray(other.image(index))).any() for other in others)


def test_shapes_are_a_data_set_with_masks():
    data = configured("shapes", images=10, size=48)
    assert isinstance(data, Dataset)
    assert isinstance(data, Masked)
    assert len(data) == 10
    assert data.image(3).size == (48, 48)
    assert data.size(3) == (48, 48)
    assert data.image_id(3) == "test_000003"
    with pytest.raises(IndexError):
        data.image_id(10)


def test_classes_alternate_and_masks_number_them():
    data = configured("shapes", images=10)
    assert [data.labels(index) for index in range(10)] == [(name,) for name in CLASSES] * 2
    for index in range(10):
        shown = sorted(np.unique(data.mask(index)).tolist())
        assert [data.mask_classes().get(number) for number in shown] == [None, *data.labels(index)]


def test_boxes_are_the_extent_of_the_mask():
    data = configured("shapes", images=10)
    for index in range(10):
        truth, inside = data.truth(index), data.object_mask(index) > 0
        x1, y1, x2, y2 = truth.boxes[0].astype(int)
        assert truth.classes == data.labels(index)
        assert inside[y1:y2, x1:x2].sum() == inside.sum()
        assert inside[y1].any()
        assert inside[y2 - 1].any()
        assert inside[:, x1].any()
        assert inside[:, x2 - 1].any()


def test_colour_and_contrast_do_not_tell_where_the_object_is():
    data = configured("shapes", images=200)
    means = [
        (np.asarray(data.image(i), float)[inside].mean(0), np.asarray(data.image(i), float)[~inside].mean(0))
        for i in range(200)
        if (inside := data.object_mask(i) > 0).any()
    ]
    gain = np.array([within - around for within, around in means])
    assert (abs(gain.mean(0)) < 3 * gain.std(0) / np.sqrt(200)).all()


@pytest.mark.parametrize(("arguments", "message"), [({"split": "dev"}, "split=dev: choose"), ({"size": 8}, "size=8")])
def test_impossible_options_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        configured("shapes", **arguments)
