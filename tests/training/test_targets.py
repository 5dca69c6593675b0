from pathlib import Path

import pytest
import torch

from nave.data.sample import Sample
from nave.data.stl10 import STL10
from nave.data.voc import VOC
from nave.training.targets import labels_of, targets, without
from tests.data.writers import Thing, write_stl10, write_voc

BOX = (5.0, 3.0, 20.0, 18.0)


def test_images_that_show_an_excluded_class_are_left_out(tmp_path: Path) -> None:
    things = {"1": [Thing("cat", BOX)], "2": [Thing("cat", BOX), Thing("person", BOX)], "3": [Thing("dog", BOX)]}
    dataset = VOC(write_voc(tmp_path, things=things), 2007)
    labels = labels_of(dataset)
    assert labels == [("cat",), ("cat", "person"), ("dog",)]
    assert without(dataset, labels, ["person"]) == [0, 2]
    assert without(dataset, labels, ["person", "dog"]) == [0]
    with pytest.raises(ValueError, match="exclude=persn: data=voc07 has no such class; it has: cat, dog, person"):
        without(dataset, labels, ["persn"])
    with pytest.raises(ValueError, match="not one of 3 images of voc07 is left"):
        without(dataset, labels, ["cat", "dog"])


def test_classes_are_unknown_unless_all_are_known(tmp_path: Path) -> None:
    assert labels_of(Sample()) is None
    unlabelled = STL10(write_stl10(tmp_path, "unlabeled"), "unlabeled")
    assert labels_of(unlabelled) is None
    assert without(unlabelled, None, []) == [0, 1, 2]
    with pytest.raises(ValueError, match=r"exclude=\['cat'\]: data=stl10 has images of unknown class"):
        without(unlabelled, None, ["cat"])


def test_one_class_is_a_number_and_several_are_zeros_and_ones() -> None:
    assert targets([("b",), ("a",)], ("a", "b"), exclusive=True).values.tolist() == [1, 0]
    several = targets([("b", "a"), (), ("b", "new")], ("a", "b"), exclusive=False)
    assert several.values.tolist() == [[1, 1], [0, 0], [0, 1]]
    assert several.values.dtype == torch.float32
    with pytest.raises(ValueError, match="validation images show c, which no training image does"):
        targets([("c",)], ("a", "b"), exclusive=True)
