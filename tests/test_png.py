"""Pictures written by NAVE itself are read back by Pillow without loss."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from nave.png import save_rgb


@given(
    pixels=arrays.arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9), st.just(3))),
)
def test_pillow_reads_what_was_written(tmp_path_factory: pytest.TempPathFactory, pixels: np.ndarray) -> None:
    path = tmp_path_factory.mktemp("png") / "a.png"

    save_rgb(Image.fromarray(pixels), path)

    with Image.open(path) as image:
        image.verify()  # checksums
    with Image.open(path) as image:
        assert image.mode == "RGB"
        np.testing.assert_array_equal(np.asarray(image), pixels)


def test_other_modes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"a\.png is of mode P: only RGB"):
        save_rgb(Image.new("P", (2, 2)), tmp_path / "a.png")
