from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nave.data.errors import MalformedData
from nave.data.mask import read_mask
from tests.data.writers import write_mask, write_photograph, write_text


def test_palette_and_grey_give_their_numbers(tmp_path: Path) -> None:
    write_mask(tmp_path / "palette.png", (30, 40))
    numbers = read_mask(tmp_path / "palette.png", (30, 40))
    assert set(np.unique(numbers).tolist()) == {0, 8, 255}
    Image.fromarray(numbers.astype(np.uint8)).save(tmp_path / "grey.png")
    np.testing.assert_array_equal(read_mask(tmp_path / "grey.png", (30, 40)), numbers)


def test_what_is_no_mask_is_named(tmp_path: Path) -> None:
    write_mask(tmp_path / "small.png", (30, 40))
    with pytest.raises(MalformedData, match=r"small\.png: the mask is \(30, 40\), its image \(40, 30\)"):
        read_mask(tmp_path / "small.png", (40, 30))
    write_photograph(tmp_path / "colours.png", (30, 40))
    with pytest.raises(MalformedData, match=r"colours\.png: the mask is \(30, 40, 3\)"):
        read_mask(tmp_path / "colours.png", (30, 40))
    write_text(tmp_path / "text.png", "no picture")
    with pytest.raises(MalformedData, match=r"text\.png: no mask can be read"):
        read_mask(tmp_path / "text.png", (30, 40))
    whole = (tmp_path / "small.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(MalformedData, match=r"cut\.png: no mask can be read"):
        read_mask(tmp_path / "cut.png", (30, 40))
