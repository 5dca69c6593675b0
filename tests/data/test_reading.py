"""Golden: Pillow's own exif_transpose."""

import struct
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageOps

from nave.data.interface import MalformedDataError, UnreadableImageError
from nave.data.reading import Fit, fitted, image_size, open_image, read_list, read_mask, read_rows, read_text
from tests.helpers.datasets import photograph, write_mask, write_photograph, write_text


def values(image: Image.Image) -> list[list[int]]:
    return np.asarray(image)[..., 0].tolist()


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp"])
@pytest.mark.parametrize("orientation", range(10))  # 0 and 9 are invalid
def test_exif_orientation_as_pillow_turns_it(tmp_path: Path, suffix: str, orientation: int) -> None:
    path = tmp_path / f"photo.{suffix}"
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    photograph((20, 31)).save(path, exif=exif)
    with Image.open(path) as stored:
        expected = ImageOps.exif_transpose(stored).convert("RGB")
    upright = open_image(path)
    assert np.array_equal(np.asarray(upright), np.asarray(expected))
    assert image_size(path) == (upright.height, upright.width)
    if suffix != "tif":  # Pillow always applies that of TIFF files
        assert image_size(path, upright=False) == (20, 31)
        assert open_image(path, upright=False).size == (31, 20)


def test_damaged_exif_data_leaves_the_image_readable(tmp_path: Path) -> None:
    """Pillow's exif_transpose fails on it."""
    path, exif = tmp_path / "photo.jpg", Image.Exif()
    exif[ExifTags.Base.Orientation], exif[ExifTags.Base.Make] = 6, "Camera"
    photograph((20, 31)).save(path, exif=exif)
    path.write_bytes(path.read_bytes().replace(b"\x01\x0f\x00\x02", b"\x01\x00\x00\x02"))  # an unknown tag
    with Image.open(path) as stored, pytest.raises(struct.error):
        ImageOps.exif_transpose(stored)
    assert open_image(path).size == (20, 31)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "LA", "CMYK", "YCbCr", "LAB", "HSV", "I;16", "I", "F"])
def test_any_mode_becomes_rgb(tmp_path: Path, mode: str) -> None:
    path = tmp_path / ("photo.jpg" if mode == "YCbCr" else "photo.tif")  # Pillow before 13 writes YCbCr TIFF truncated
    source = photograph((9, 7)).convert("L") if mode in {"I;16", "I", "F"} else photograph((9, 7))
    if mode == "HSV":  # no file holds it, Pillow converts
        source.convert(mode).convert("RGB").save(path)
    else:
        source.convert(mode).save(path)
    image = open_image(path)
    assert (image.mode, image.size, image_size(path)) == ("RGB", (7, 9), (9, 7))


def test_cmyk_jpeg_and_1x1(tmp_path: Path) -> None:
    Image.new("CMYK", (1, 1), (0, 0, 0, 0)).save(tmp_path / "white.jpg")
    assert values(open_image(tmp_path / "white.jpg")) == [[255]]


def test_16_bit_grey_is_divided_by_257(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0, 257, 32896, 65535]], np.uint16)).save(tmp_path / "deep.png")
    assert values(open_image(tmp_path / "deep.png")) == [[0, 1, 128, 255]]


@pytest.mark.parametrize(("grey", "expected"), [([0.0, 0.5, 1.0], [0, 128, 255]), ([0.0, 99.6, 255.0], [0, 100, 255])])
def test_float_grey_in_either_scale(tmp_path: Path, grey: list[float], expected: list[int]) -> None:
    Image.fromarray(np.array([grey], np.float32)).save(tmp_path / "float.tif")
    assert values(open_image(tmp_path / "float.tif")) == [expected]


@pytest.mark.parametrize("grey", [np.array([[-1.0]], np.float32), np.array([[np.nan]], np.float32)])
def test_float_grey_out_of_range_is_unreadable(tmp_path: Path, grey: np.ndarray) -> None:
    Image.fromarray(grey).save(tmp_path / "odd.tif")
    with pytest.raises(UnreadableImageError, match=r"odd\.tif: grey values .* floats must lie in"):
        open_image(tmp_path / "odd.tif")


def test_integer_grey_beyond_16_bit_is_unreadable(tmp_path: Path) -> None:
    Image.fromarray(np.array([[70000]], np.int32)).save(tmp_path / "odd.tif")
    with pytest.raises(UnreadableImageError, match="grey values 70000 to 70000: integers must lie in 0 to 65535"):
        open_image(tmp_path / "odd.tif")


def test_transparency_is_composited_over_white(tmp_path: Path) -> None:
    pixels = np.array([[[0, 0, 0, 255], [0, 0, 0, 0], [100, 100, 100, 255]]], np.uint8)
    Image.fromarray(pixels).save(tmp_path / "logo.png")
    assert values(open_image(tmp_path / "logo.png")) == [[0, 255, 100]]


def test_a_transparent_palette_is_composited_over_white(tmp_path: Path) -> None:
    image = Image.new("P", (2, 1), 1)
    image.putpalette([0, 0, 0, 50, 60, 70])
    image.putpixel((0, 0), 0)
    image.save(tmp_path / "icon.png", transparency=0)
    assert values(open_image(tmp_path / "icon.png")) == [[255, 50]]


def test_first_frame_of_an_animation(tmp_path: Path) -> None:
    first, second = Image.new("L", (3, 2), 10), Image.new("L", (3, 2), 200)
    first.save(tmp_path / "move.gif", save_all=True, append_images=[second])
    assert values(open_image(tmp_path / "move.gif"))[0] == [10, 10, 10]


@pytest.mark.parametrize("suffix", ["jpg", "png"])
@pytest.mark.parametrize("share", [0.5, 0.9])
def test_truncated_file_is_unreadable_with_its_reason(tmp_path: Path, suffix: str, share: float) -> None:
    path = write_photograph(tmp_path / f"cut.{suffix}", (60, 80))
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    assert image_size(path) == (60, 80)
    with pytest.raises(UnreadableImageError, match=r"holiday: .*truncated") as caught:
        open_image(path, "holiday")
    assert (caught.value.image_id, "truncated" in caught.value.reason) == ("holiday", True)


@pytest.mark.parametrize("content", [b"", b"plain words", b"\xff\xd8\xff\xe0 nearly a JPEG"])
def test_a_file_that_is_no_image(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "words.jpg"
    path.write_bytes(content)
    for read in (open_image, image_size):
        with pytest.raises(UnreadableImageError, match=r"words: (not an image|Truncated)"):
            read(path, "words")


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(UnreadableImageError, match=r"gone\.jpg: no such file"):
        open_image(tmp_path / "gone.jpg")


def test_the_size_of_a_png_comes_from_its_header(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_photograph(tmp_path / "big.png")
    monkeypatch.setattr(Image.Image, "load", lambda _: pytest.fail("decoded"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of pytest.fail inside Pillow
        assert image_size(path) == (30, 40)


def test_palette_and_grey_masks_give_their_values(tmp_path: Path) -> None:
    write_mask(tmp_path / "palette.png", (30, 40))
    numbers = read_mask(tmp_path / "palette.png", (30, 40))
    assert set(np.unique(numbers).tolist()) == {0, 8, 255}
    Image.fromarray(numbers.astype(np.uint8)).save(tmp_path / "grey.png")
    np.testing.assert_array_equal(read_mask(tmp_path / "grey.png", (30, 40)), numbers)


def test_invalid_masks_are_named(tmp_path: Path) -> None:
    write_mask(tmp_path / "small.png", (30, 40))
    with pytest.raises(MalformedDataError, match=r"small\.png: the mask is \(30, 40\), its image \(40, 30\)"):
        read_mask(tmp_path / "small.png", (40, 30))
    write_photograph(tmp_path / "colours.png", (30, 40))
    with pytest.raises(MalformedDataError, match=r"colours\.png: the mask is \(30, 40, 3\)"):
        read_mask(tmp_path / "colours.png", (30, 40))
    write_text(tmp_path / "text.png", "no picture")
    with pytest.raises(MalformedDataError, match=r"text\.png: no mask can be read"):
        read_mask(tmp_path / "text.png", (30, 40))
    whole = (tmp_path / "small.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(MalformedDataError, match=r"cut\.png: no mask can be read"):
        read_mask(tmp_path / "cut.png", (30, 40))


def test_a_byte_order_mark_is_dropped(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"\xef\xbb\xbfImage Index,\xc3\xa9\r\n")
    assert read_rows(tmp_path / "a.csv") == [["Image Index", "é"]]


def test_other_encodings_name_file_and_line(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes("one\ntwo\ncaf\xe9\n".encode("latin-1"))
    with pytest.raises(MalformedDataError, match=r"a\.csv, line 3: not UTF-8 .*; save it as UTF-8"):
        read_text(tmp_path / "a.csv")


def test_a_list_without_empty_lines(tmp_path: Path) -> None:
    (tmp_path / "ids.txt").write_bytes(b"000005 \r\n\r\n000007\n\n")
    assert read_list(tmp_path / "ids.txt") == ["000005", "000007"]


def test_a_repeated_entry_names_both_lines(tmp_path: Path) -> None:
    (tmp_path / "ids.txt").write_text("a\nb\n\na\n")
    with pytest.raises(MalformedDataError, match=r"ids\.txt, line 4: 'a' is already on line 1"):
        read_list(tmp_path / "ids.txt")


def test_an_empty_list(tmp_path: Path) -> None:
    (tmp_path / "ids.txt").write_text("\n")
    with pytest.raises(MalformedDataError, match=r"ids\.txt: no entry"):
        read_list(tmp_path / "ids.txt")


def test_broken_csv(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('a,"b\n')
    with pytest.raises(MalformedDataError, match=r"a\.csv: broken CSV: unexpected end of data"):
        read_rows(tmp_path / "a.csv")


@pytest.mark.parametrize("suffix", ["heic", "jpg"])  # the bytes decide, not the name
def test_heic_names_its_package(tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "ID", [name for name in Image.ID if name != "HEIF"])  # as without the package
    path = tmp_path / f"phone.{suffix}"
    path.write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100))
    with pytest.raises(UnreadableImageError, match=r"phone: HEIC, .* pillow-heif: pip install 'nave\[heic\]'"):
        open_image(path, "phone")


def test_heic_is_read_with_its_package(tmp_path: Path) -> None:
    pytest.importorskip("pillow_heif")
    path, original = tmp_path / "phone.heic", photograph((48, 64))
    original.save(path, quality=95)
    assert image_size(path) == (48, 64)
    difference = np.asarray(open_image(path), int) - np.asarray(original, int)
    assert np.abs(difference).mean() < 8


@pytest.mark.parametrize(
    ("annotated", "expected"),
    [
        ((30, 40), Fit(False, (30, 40))),
        ((40, 30), Fit(True, (40, 30))),
        ((60, 80), Fit(False, (30, 40), (0.5, 0.5))),
        ((100, 75), Fit(True, (40, 30), (0.4, 0.4))),
        ((17, 23), Fit(False, (30, 40), (40 / 23, 30 / 17))),  # sides are rounded
        ((30, 30), None),
        ((300, 500), None),
    ],
)
def test_sizes_decide_how_an_image_lies_under_its_annotations(annotated: tuple[int, int], expected: Fit | None) -> None:
    assert fitted(annotated, stored=(30, 40), upright=(40, 30)) == expected


@pytest.mark.parametrize("values", [np.zeros((2, 2), np.float32), np.full((2, 2), -1, np.int32)])
def test_a_mask_has_ids(tmp_path: Path, values: np.ndarray) -> None:
    Image.fromarray(values).save(tmp_path / "a.tif")
    with pytest.raises(MalformedDataError, match=r"a\.tif: .*a mask has ids, integers from 0 on"):
        read_mask(tmp_path / "a.tif", (2, 2))
