import subprocess
import sys

import numpy as np
import pytest

from nave.data import sample
from nave.data.interface import MissingDatasetError
from nave.data.sample import Sample


def test_eight_photographs_with_boxes_inside() -> None:
    photographs = Sample()
    assert [photographs.image_id(index) for index in range(len(photographs))] == [
        *("astronaut", "camera", "chelsea", "china", "coffee", "flower", "motorcycle_left", "rocket")
    ]
    boxes = 0
    for index in range(len(photographs)):
        height, width = photographs.size(index)
        truth = photographs.truth(index)
        assert (truth.boxes[:, :2] >= 0).all()
        assert (truth.boxes[:, 2:] <= [width, height]).all()
        assert (truth.boxes[:, :2] < truth.boxes[:, 2:]).all()
        boxes += len(truth.boxes)
    assert boxes == len(sample._boxes()) == 22


def test_the_photographs_are_those_that_the_packages_return() -> None:
    from skimage import data
    from sklearn.datasets import load_sample_image

    photographs = Sample()
    for index, expected in ((0, data.astronaut()), (2, data.chelsea()), (3, load_sample_image("china.jpg"))):
        assert np.array_equal(np.asarray(photographs.image(index)), expected)
    assert np.array_equal(np.asarray(photographs.image(1))[..., 0], data.camera())


def test_neither_package_is_imported() -> None:
    code = (
        "import sys; from nave.data.sample import Sample; Sample().image(0); "
        "sys.exit(any(name in sys.modules for name in ('skimage', 'sklearn', 'pooch', 'torch')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_package_without_the_photograph(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sample._FILES, "chelsea", ("skimage", "data/no_such_cat.png"))
    with pytest.raises(
        MissingDatasetError, match=r"sample photographs not found.*\n.*\n.*no_such_cat\.png\n.*pip install"
    ):
        Sample()


def test_a_package_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sample._FILES, "chelsea", ("no_such_package", "cat.png"))
    with pytest.raises(MissingDatasetError, match=r"no_such_package/cat\.png"):
        Sample()
