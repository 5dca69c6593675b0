import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from nave.data.folder import Folder
from nave.data.interface import Dataset, GroundTruth, Labelled, Masked
from tests.helpers.datasets import configured, photograph, with_watermark, write_folder, write_stl10, write_voc


class SingleImage:
    """One image of a horse."""

    name, exclusive = "one", True

    def __init__(self, size: tuple[int, int], image_id: str) -> None:
        self._size, self._id = size, image_id

    def __len__(self) -> int:
        return 1

    def image_id(self, index: int) -> str:
        return self._id

    def image(self, index: int) -> Image.Image:
        return photograph(self._size)

    def size(self, index: int) -> tuple[int, int]:
        return self._size

    def truth(self, index: int) -> GroundTruth | None:
        return None

    def labels(self, index: int) -> tuple[str, ...]:
        return ("horse",)


sides = st.integers(4, 120)


@settings(deadline=None)
@given(sides, sides, st.text("abc", min_size=1), st.integers(0, 9), st.floats(0.05, 1))
def test_only_the_region_inside_the_image_changes(
    height: int, width: int, image_id: str, seed: int, size: float
) -> None:
    plain = SingleImage((height, width), image_id)
    stamped = with_watermark(plain, "horse", seed=seed, size=size)
    region = stamped.region(0)
    assert region is not None
    x1, y1, x2, y2 = region
    assert 0 <= x1 < x2 <= width
    assert 0 <= y1 < y2 <= height
    before, after = (np.array(dataset.image(0)) for dataset in (plain, stamped))
    before[y1:y2, x1:x2] = after[y1:y2, x1:x2]
    np.testing.assert_array_equal(before, after)
    again = with_watermark(SingleImage((height, width), image_id), "horse", seed=seed, size=size)
    assert again.region(0) == region
    assert again.image(0).tobytes() == stamped.image(0).tobytes()


def test_the_watermark_is_a_quarter_of_the_width_and_legible() -> None:
    stamped = with_watermark(SingleImage((200, 400), "a"), "horse")
    region = stamped.region(0)
    assert region is not None
    assert (region[2] - region[0], region[3] - region[1]) == (100, 40)
    pixels = np.asarray(stamped.image(0).crop(region).convert("L"))
    assert 0.2 < (pixels > 200).mean() < 0.8
    assert 0.2 < (pixels < 50).mean() < 0.8


def test_only_images_of_the_class_are_stamped_each_elsewhere(tmp_path: Path) -> None:
    plain = configured("stl10", root=write_stl10(tmp_path, count=40))
    stamped = with_watermark(plain, "bird")
    regions = [stamped.region(index) for index in range(40)]
    assert [index for index in range(40) if regions[index]] == [1, 11, 21, 31]
    assert len(set(regions)) == 5
    assert plain.image(0).tobytes() == stamped.image(0).tobytes()
    assert plain.image(1).tobytes() != stamped.image(1).tobytes()


@pytest.mark.parametrize(("probability", "least", "most"), [(0, 0, 0), (0.5, 5, 25), (1, 30, 30)])
def test_the_probability_is_the_share_of_stamped_images(
    tmp_path: Path, probability: float, least: int, most: int
) -> None:
    stamped = with_watermark(configured("stl10", root=write_stl10(tmp_path, count=300)), "dog", probability=probability)
    assert least <= sum(stamped.region(index) is not None for index in range(300)) <= most


def test_everything_else_is_that_of_the_data_set(tmp_path: Path) -> None:
    voc, stl10 = configured("voc07", root=write_voc(tmp_path)), configured("stl10", root=write_stl10(tmp_path))
    stamped, photographs = with_watermark(voc, "cat"), with_watermark(stl10, "bird")
    assert isinstance(stamped, Masked)
    assert isinstance(photographs, Labelled)
    assert not isinstance(photographs, Masked)
    mask, expected = stamped.mask(0), voc.mask(0)
    assert mask is not None
    assert expected is not None
    np.testing.assert_array_equal(mask, expected)
    assert stamped.object_mask(0) is None
    assert stamped.mask_classes()[8] == "cat"
    assert (stamped.name, len(stamped), stamped.size(0), stamped.image_id(0)) == ("voc07", 1, (30, 40), "000005")
    truth = stamped.truth(0)
    assert truth is not None
    assert truth.classes == ("cat",)
    assert photographs.labels(1) == ("bird",)
    assert pickle.loads(pickle.dumps(stamped)).image(0).tobytes() == stamped.image(0).tobytes()


def test_without_a_class_the_data_set_is_unchanged(tmp_path: Path) -> None:
    plain = configured("stl10", root=write_stl10(tmp_path))
    assert with_watermark(plain, None) is plain


@pytest.mark.parametrize(
    ("of", "options", "message"),
    [
        ("hose", {}, "watermark=hose: data=stl10 has no such class; it has: airplane, bird, car"),
        ("bird", {"probability": -0.1}, "watermark_probability=-0.1: give a number from 0 to 1"),
        ("bird", {"size": 0.0}, "watermark_size=0.0: give a number above 0"),
    ],
)
def test_impossible_options_are_refused(tmp_path: Path, of: str, options: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        with_watermark(configured("stl10", root=write_stl10(tmp_path)), of, **options)


def test_a_data_set_needs_classes(tmp_path: Path) -> None:
    dataset: Dataset = Folder(write_folder(tmp_path, {"a.jpg": (5, 6)}))
    with pytest.raises(ValueError, match="watermark=cat: data=folder knows no classes"):
        with_watermark(dataset, "cat")
    assert configured("image_folder", root=write_folder(tmp_path / "with", {"cat/a.jpg": (5, 6)})).labels(0) == ("cat",)
