from pathlib import Path

import pytest

from nave.data.errors import MissingDataset
from nave.data.image_folder import ImageFolder
from nave.data.photograph import Labelled
from tests.data.writers import write_folder

FILES = {"train/cat/a.jpg": (5, 6), "train/cat/far/b.png": (5, 6), "train/dog/a.jpg": (7, 8), "val/cat/c.jpg": (5, 6)}


def test_the_folder_is_the_class(tmp_path: Path) -> None:
    dataset = ImageFolder(write_folder(tmp_path, FILES), "train", name="pets")
    assert [(dataset.image_id(i), dataset.labels(i)) for i in range(len(dataset))] == [
        ("cat/a", ("cat",)),
        ("cat/far/b", ("cat",)),
        ("dog/a", ("dog",)),
    ]
    assert dataset.name == "pets"
    assert isinstance(dataset, Labelled)
    assert dataset.exclusive
    assert dataset.truth(0) is None
    assert dataset.size(2) == (7, 8)


def test_a_split_is_a_folder(tmp_path: Path) -> None:
    write_folder(tmp_path, FILES)
    assert len(ImageFolder(tmp_path, "val")) == 1
    assert len(ImageFolder(tmp_path / "train")) == 3
    with pytest.raises(MissingDataset, match="looked in"):
        ImageFolder(tmp_path, "test")
    with pytest.raises(MissingDataset, match=r"data\.root=photos/"):
        ImageFolder(None, "train")


def test_images_outside_of_class_folders_are_refused(tmp_path: Path) -> None:
    write_folder(tmp_path, {"a.jpg": (5, 6), "cat/b.jpg": (5, 6)})
    with pytest.raises(MissingDataset, match="1 images lie in no class folder"):
        ImageFolder(tmp_path)
