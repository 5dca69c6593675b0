"""Pixel values of any type as 8-bit RGB, in files and in memory alike; and the data set of images in memory."""

import logging
import sys
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Shaped, UInt8
from PIL import Image, ImageOps
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile

from nave.data.interface import GroundTruth

Pixels = Shaped[np.ndarray, "..."]

_log = logging.getLogger(__name__)

_BITS_PER_SAMPLE, _PHOTOMETRIC, _MAX_SAMPLE_VALUE = 258, 262, 281  # tags of TIFF
_WHITE_IS_ZERO = 0
DEPTHS = (8, 10, 12, 14, 16)  # bits of the sensors and scanners that there are
FIRST_FRAME = "of several pages or frames only the first is taken"
_REMARKS = "nave.remarks"  # key of ``Image.info``


def eight_bit(values: Pixels, depth: int | None = None) -> tuple[UInt8[np.ndarray, "..."], str | None]:
    """Grey or colour values of any type in 8 bit, and what was decided about their range; None for 8-bit integers.

    The type says how wide a pixel is stored, not where white lies: a 12-bit sensor fills a sixteenth of uint16. White
    is the largest value of ``depth`` bits where the file states that depth, else of the smallest of ``DEPTHS`` that
    holds the largest value. Floats up to 1 are fractions of white; larger ones follow the rule of integers.

    The rule looks at one image alone, so that its result depends neither on order and processes nor on a first pass
    over all files. A dark image can therefore come out brighter than its neighbours, by a factor of 4 a step; the
    remarks, counted over a data set, show whether its images were taken alike.

    Args:
        values: of any shape.
        depth: the number of bits that the file states; ignored if the values exceed it.

    Raises:
        ValueError: for negative and non-finite values, and those above 65535.
    """
    if values.dtype == np.uint8:
        return values, None
    if values.dtype == np.bool_:
        return np.where(values, np.uint8(255), np.uint8(0)), None
    floats = np.issubdtype(values.dtype, np.floating)
    low, high = values.min(), values.max()
    if not (low >= 0 and high <= 65535):
        kind, range_ = ("floats", "0 to 1, or 0 to 65535") if floats else ("integers", "0 to 65535")
        raise ValueError(f"grey values {low} to {high}: {kind} must lie in {range_}")
    if floats and high <= 1:
        return np.rint(values * 255).astype(np.uint8), f"{values.dtype} pixels taken as 0 to 1"
    bits = next(bits for bits in (depth or 0, *DEPTHS) if high <= 2**bits - 1)
    return np.rint(values / ((2**bits - 1) / 255)).astype(np.uint8), f"{values.dtype} pixels taken as {bits} bit"


def rgb_of_values(values: Pixels, depth: int | None = None) -> Image.Image:
    """An image of 8-bit RGB from values ``(H, W)`` or ``(H, W, C)``; the last of 2 or 4 channels is alpha.

    Raises:
        ValueError: as :func:`eight_bit`.
    """
    has_alpha = values.ndim == 3 and values.shape[2] in (2, 4)
    colours, remark = eight_bit(values[..., :-1] if has_alpha else values, depth)
    image = Image.fromarray(colours[..., 0] if colours.shape[2:] == (1,) else colours).convert("RGB")
    if has_alpha:
        image.putalpha(Image.fromarray(eight_bit(values[..., -1])[0]))
        image = _over_white(image)
    return _with_remarks(image, remark)


def rgb_of_image(image: Image.Image, depth: int | None = None) -> Image.Image:
    """An image of any mode as 8-bit RGB, over white where it is transparent; raises ValueError as :func:`eight_bit`."""
    if image.mode.startswith("I") or image.mode == "F":
        rgb = rgb_of_values(np.asarray(image), depth)
    else:
        rgb = _with_remarks(_over_white(image) if image.has_transparency_data else image.convert("RGB"))
    return _with_remarks(rgb, *remarks(rgb), FIRST_FRAME if _has_further_frames(image) else None)


def remarks(image: Image.Image) -> tuple[str, ...]:
    """What was decided while the image was read, in words that are alike for images that were treated alike."""
    noted: tuple[str, ...] = image.info.get(_REMARKS, ())
    return noted


def _with_remarks(image: Image.Image, *noted: str | None) -> Image.Image:
    image.info.pop(_REMARKS, None)  # a file may use any key
    if found := tuple(remark for remark in noted if remark):
        image.info[_REMARKS] = found
    return image


def _over_white(image: Image.Image) -> Image.Image:
    rgba = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")


def _has_further_frames(image: Image.Image) -> bool:
    """Whether there are pages or frames after the first; the previews that cameras append to a JPEG are none."""
    if image.format == "MPO":
        return False
    with suppress(Exception):  # a damaged second frame leaves the first one readable
        return bool(getattr(image, "is_animated", False))
    return False


def rgb_of_file(image: Image.Image, path: Path) -> Image.Image:
    """An image that Pillow has opened at ``path`` as 8-bit RGB; raises ValueError as :func:`eight_bit`."""
    if isinstance(image, PngImageFile | TiffImageFile) and image.mode in ("RGB", "RGBA") and (raw := _raw(image)):
        return rgb_of_values(_deep_colours(path, raw), _stated_depth(image, path))
    if image.format == "JPEG" and image.mode == "RGB":
        image.load()
        return _with_remarks(image)  # it is nobody else's, so it needs no copy
    rgb = rgb_of_image(image, _stated_depth(image, path) if image.mode.startswith("I") else None)
    return _with_remarks(ImageOps.invert(rgb), *remarks(rgb)) if _is_inverted(image) else rgb


def _is_inverted(image: Image.Image) -> bool:
    """Whether 0 is white in a TIFF whose grey values Pillow gives as they are; it inverts those of 8 bit."""
    if not isinstance(image, TiffImageFile) or not (image.mode.startswith("I") or image.mode == "F"):
        return False
    return bool(image.tag_v2.get(_PHOTOMETRIC) == _WHITE_IS_ZERO)


def _raw(image: PngImageFile | TiffImageFile) -> str | None:
    """How the file holds colours of 16 bit, such as ``RGB;16B``; None for those of 8 bit.

    Raises:
        ValueError: for planes of 16 bit, which Pillow reads as if they had 8.
    """
    args = image.tile[0].args or ("",)
    raw = args if isinstance(args, str) else str(args[0])
    if isinstance(image, TiffImageFile) and ";16" not in raw and max(image.tag_v2.get(_BITS_PER_SAMPLE, (8,))) == 16:
        raise ValueError("colours of 16 bit in separate planes, which Pillow cannot read; save them interleaved")
    return raw if ";16" in raw else None


def _deep_colours(path: Path, raw: str) -> Shaped[np.ndarray, "H W C"]:
    """Colours of 16 bit. Pillow keeps the upper byte alone; read in the other byte order, the lower one."""
    if raw == "LA;16B":
        return _decoded(path, "RGBA").view(">u2").astype(np.uint16)
    order = raw[-1] if raw[-1] in "LB" else "L" if sys.byteorder == "little" else "B"
    upper, lower = (_decoded(path, raw[:-1] + end) for end in (order, "LB"[order == "L"]))
    deep: Shaped[np.ndarray, "H W C"] = (upper.astype(np.uint16) << 8) | lower
    return deep


def _decoded(path: Path, raw: str) -> UInt8[np.ndarray, "H W C"]:
    with Image.open(path) as image:
        assert isinstance(image, PngImageFile | TiffImageFile)
        args = [tile.args for tile in image.tile]
        replaced = [(raw, *old[1:]) if isinstance(old, tuple) else raw for old in args]
        image.tile = [tile._replace(args=new) for tile, new in zip(image.tile, replaced, strict=True)]
        return np.array(image)


def _stated_depth(image: Image.Image, path: Path) -> int | None:
    """The number of bits in which the file says that white lies, as opposed to the bits it stores a pixel in."""
    if image.format == "PPM":
        return 16  # Pillow scales the values by the file's own white
    if isinstance(image, TiffImageFile):
        bits = max(image.tag_v2.get(_BITS_PER_SAMPLE, (16,)))
        highest = max(image.tag_v2.get(_MAX_SAMPLE_VALUE, (0,)))
        return int(bits) if bits not in (16, 32) else int(highest).bit_length() or None
    return _significant_bits(path) if isinstance(image, PngImageFile) else None


def _significant_bits(png: Path) -> int | None:
    """The chunk sBIT, which Pillow skips."""
    with png.open("rb") as file:
        file.seek(8)  # the signature
        while len(header := file.read(8)) == 8 and header[4:] != b"IDAT":
            content = file.read(int.from_bytes(header[:4], "big") + 4)  # and its checksum
            if header[4:] == b"sBIT":
                return max(content[:-4], default=None)
    return None


class InMemory:
    """A data set of PIL images, arrays ``(H, W)`` or ``(H, W, 3)``, or a tensor ``(B, 3, H, W)``.

    Their values are taken as those in files are, by :func:`eight_bit`.

    Raises:
        ValueError: for no images, or an image of another shape or range; names its index.
    """

    name = "memory"

    def __init__(self, images: Iterable[Any] | Image.Image) -> None:
        single = isinstance(images, Image.Image) or (isinstance(images, np.ndarray) and images.ndim <= 3)
        sequence: Any = [images] if single else images
        self._images = [_as_image(image, index) for index, image in enumerate(sequence)]
        if not self._images:
            raise ValueError("no images were given")
        for remark, count in Counter(remark for image in self._images for remark in remarks(image)).items():
            _log.warning("%d of %d images: %s", count, len(self._images), remark)

    def __len__(self) -> int:
        return len(self._images)

    def image_id(self, index: int) -> str:
        """The position of the image in the input."""
        return str(index)

    def image(self, index: int) -> Image.Image:
        """The image in RGB, 8 bit."""
        return self._images[index]

    def size(self, index: int) -> tuple[int, int]:
        """(height, width)."""
        return self._images[index].height, self._images[index].width

    def truth(self, index: int) -> GroundTruth | None:  # noqa: ARG002 - the signature of Dataset
        """None: images in memory have no ground truth."""
        return None


def _as_image(image: Any, index: int) -> Image.Image:
    pixels = image if isinstance(image, Image.Image) else _as_array(image, index)
    try:
        return rgb_of_image(pixels) if isinstance(pixels, Image.Image) else rgb_of_values(pixels)
    except ValueError as error:
        raise ValueError(f"image {index}: {error} (not normalised; the encoder does that itself)") from error


def _as_array(image: Any, index: int) -> Pixels:
    is_tensor = hasattr(image, "detach")  # torch is not imported for images in files
    array = image.detach().cpu().movedim(0, -1).numpy() if is_tensor else np.asarray(image)
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] != 3) or 0 in array.shape:
        raise ValueError(
            f"image {index} has the shape {array.shape}: give PIL images, arrays (H, W) or (H, W, 3), "
            "or a tensor (B, 3, H, W)"
        )
    return array
