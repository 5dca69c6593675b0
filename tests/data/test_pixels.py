"""Golden: the same picture in 8 bit, from which every deeper file and array is made."""

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

from nave.data.interface import UnreadableImageError
from nave.data.pixels import FIRST_FRAME, InMemory, eight_bit, remarks
from nave.data.reading import open_image
from tests.helpers.datasets import photograph, write_photograph

GREY = np.tile(np.arange(0, 256, dtype=np.uint16), (4, 1))  # black to white
COLOURS = np.stack([GREY, GREY[:, ::-1], GREY // 2], axis=2)


def deep(values: np.ndarray, bits: int) -> np.ndarray:
    """``values`` of 8 bit in ``bits``."""
    return np.rint(values * ((2**bits - 1) / 255)).astype(np.uint16)


def write_png(path: Path, values: np.ndarray, *chunks: tuple[bytes, bytes]) -> Path:
    """A PNG of 16 bit, grey or of 2 to 4 channels, which Pillow can read but not write."""
    height, width = values.shape[:2]
    channels = values.shape[2] if values.ndim == 3 else 1
    kind = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    parts = [(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, kind, 0, 0, 0)), *chunks]
    parts += [(b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    body = b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in parts
    )
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)
    return path


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
def test_any_depth_in_16_bit_reaches_all_256_greys(tmp_path: Path, bits: int) -> None:
    Image.fromarray(deep(GREY, bits)).save(tmp_path / "m.png")
    image = open_image(tmp_path / "m.png")
    assert np.array_equal(np.asarray(image)[..., 1], GREY)
    assert remarks(image) == (f"uint16 pixels taken as {bits} bit",)


@pytest.mark.parametrize("values", [GREY.astype(np.int32), GREY.astype(np.float32), GREY.astype(np.float32) / 255])
def test_8_bit_in_wider_pixels(tmp_path: Path, values: np.ndarray) -> None:
    Image.fromarray(values).save(tmp_path / "wide.tif")
    assert np.array_equal(np.asarray(open_image(tmp_path / "wide.tif"))[..., 0], GREY)


@pytest.mark.parametrize("bits", [12, 16])
@pytest.mark.parametrize("layout", ["png", "tif", "big-endian tif", "compressed tif"])
def test_colours_keep_their_lower_byte(tmp_path: Path, layout: str, bits: int) -> None:
    path, values = tmp_path / f"c.{layout[-3:]}", deep(COLOURS, bits)
    if layout == "png":
        write_png(path, values)
    else:
        options: dict[str, Any] = {"big-endian tif": {"byteorder": ">"}, "compressed tif": {"compression": "zlib"}}
        tifffile.imwrite(path, values, photometric="rgb", **options.get(layout, {}))
    image = open_image(path)
    assert np.array_equal(np.asarray(image), COLOURS)
    assert remarks(image) == (f"uint16 pixels taken as {bits} bit",)


@pytest.mark.parametrize("channels", [2, 4])
def test_16_bit_transparency_is_composited_over_white(tmp_path: Path, channels: int) -> None:
    colours = COLOURS[..., : channels - 1]
    alpha = np.full((4, 256, 1), 65535, np.uint16)
    alpha[0] = 0
    path = write_png(tmp_path / "a.png", np.concatenate([deep(colours, 12), alpha], axis=2))
    found = np.asarray(open_image(path))
    assert (found[0] == 255).all()
    assert np.array_equal(found[1:], np.broadcast_to(colours[1:], (3, 256, 3)))


def test_16_bit_planes_are_refused(tmp_path: Path) -> None:
    """Pillow takes their bytes for pixels."""
    planes = deep(COLOURS, 16).transpose(2, 0, 1)
    tifffile.imwrite(tmp_path / "p.tif", planes, photometric="rgb", planarconfig="separate")
    with pytest.raises(UnreadableImageError, match=r"p\.tif: colours of 16 bit in separate planes"):
        open_image(tmp_path / "p.tif")


DARK = GREY // 4  # 0 to 63 of 255: without the file's word, a picture of lower depth


def test_a_dark_image_of_a_stated_depth_stays_dark(tmp_path: Path) -> None:
    values = deep(DARK, 12)
    assert np.asarray(Image.fromarray(values)).max() < 2**10
    tifffile.imwrite(tmp_path / "d.tif", values, photometric="minisblack", extratags=[(281, 3, 1, 4095, True)])
    write_png(tmp_path / "d.png", values, (b"sBIT", b"\x0c"))
    (tmp_path / "d.pgm").write_bytes(b"P5 256 4 4095\n" + values.astype(">u2").tobytes())
    for name in ("d.tif", "d.png", "d.pgm"):
        assert np.array_equal(np.asarray(open_image(tmp_path / name))[..., 0], DARK)
    write_png(tmp_path / "unstated.png", values)
    assert np.asarray(open_image(tmp_path / "unstated.png")).max() > 2 * DARK.max()


def test_values_above_the_stated_depth_are_as_png_wants_them(tmp_path: Path) -> None:
    """Samples of lower depth are scaled up to 16 bit there."""
    write_png(tmp_path / "up.png", deep(GREY, 16), (b"sBIT", b"\x0c"))
    assert np.array_equal(np.asarray(open_image(tmp_path / "up.png"))[..., 0], GREY)


def test_8_bit_images_are_left_alone(tmp_path: Path) -> None:
    assert eight_bit(np.array([3], np.uint8))[1] is None
    image = open_image(write_photograph(tmp_path / "a.png"))
    assert remarks(image) == ()
    assert np.array_equal(np.asarray(image), np.asarray(photograph((30, 40))))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.array([[-1]], np.int16), "grey values -1 to -1: integers must lie in 0 to 65535"),
        (np.array([[2.0, -0.5]]), r"grey values -0\.5 to 2\.0: floats must lie in 0 to 1, or 0 to 65535"),
        (np.array([[0.5, np.nan]]), "grey values nan to nan: floats"),
        (np.array([[0.5, np.inf]]), r"grey values 0\.5 to inf: floats"),
    ],
)
def test_values_without_a_white_are_refused_by_index(value: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=f"image 1: {message}"):
        InMemory([photograph((2, 2)), value])


def in_file(folder: Path, values: np.ndarray) -> np.ndarray:
    Image.fromarray(values).save(folder / "f.tif")
    return np.asarray(open_image(folder / "f.tif"))


@pytest.mark.parametrize("values", [deep(GREY, 12), deep(GREY, 10).astype(np.int32), GREY.astype(np.float32)])
def test_python_takes_what_the_command_takes(
    tmp_path: Path, values: np.ndarray, caplog: pytest.LogCaptureFixture
) -> None:
    expected = in_file(tmp_path, values)
    same = InMemory([values, Image.fromarray(values), torch.from_numpy(np.stack([values] * 3))])
    assert all(np.array_equal(np.asarray(same.image(index)), expected) for index in range(3))
    assert [record.message[:14] for record in caplog.records] == ["3 of 3 images:"]  # once a data set


def test_transparent_images_in_memory_are_composited_over_white_too() -> None:
    assert np.asarray(InMemory(Image.new("RGBA", (1, 1), (0, 0, 0, 0))).image(0)).tolist() == [[[255, 255, 255]]]


@pytest.mark.parametrize("suffix", ["tif", "gif", "png", "webp"])
def test_further_pages_and_frames_are_remarked(tmp_path: Path, suffix: str) -> None:
    first, second = photograph((8, 9)), photograph((8, 9), 1)
    first.save(tmp_path / f"one.{suffix}")
    first.save(tmp_path / f"two.{suffix}", save_all=True, append_images=[second])
    assert remarks(open_image(tmp_path / f"one.{suffix}")) == ()
    assert remarks(open_image(tmp_path / f"two.{suffix}")) == (FIRST_FRAME,)


def test_white_is_zero_in_16_bit_as_in_8(tmp_path: Path) -> None:
    grey = np.arange(256, dtype=np.uint8).reshape(16, 16)
    inverted = 65535 - grey.astype(np.uint16) * 257  # Pillow inverts those of 8 bit itself as it writes them
    for values, mode in ((grey, "8.tif"), (inverted, "16.tif")):
        Image.fromarray(values).save(tmp_path / mode, tiffinfo={262: 0})
    with Image.open(tmp_path / "16.tif") as image:
        assert image.tag_v2[262] == 0  # type: ignore[attr-defined]
    shallow, deep = (np.asarray(open_image(tmp_path / name)) for name in ("8.tif", "16.tif"))
    assert np.array_equal(deep, shallow)
    assert np.array_equal(deep[..., 0], grey)
