"""Reading the files of data sets: images of any mode, masks, boxes, text; errors name the file."""

import csv
import importlib
import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int
from PIL import ExifTags, Image, UnidentifiedImageError

from nave.data.interface import MalformedDataError, UnreadableImageError
from nave.data.pixels import rgb_of_file

Box = tuple[float, float, float, float]  # xyxy, half-open, in pixels

_SLACK = 1.0  # pixels that a box may exceed its image by: annotators count from 0 or from 1, and round
# not ImageOps.exif_transpose: it also writes the EXIF data anew, and fails on photographs whose EXIF data is damaged
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SWAPS_SIDES = (5, 6, 7, 8)  # orientations that swap height and width
_HEIF = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")  # brands

with suppress(ImportError):
    importlib.import_module("pillow_heif").register_heif_opener()


@dataclass(frozen=True)
class Fit:
    """How an image lies under its annotations.

    Args:
        upright: turn the image by its EXIF orientation; the annotator's tool has shown it upright.
        size: (height, width) of the image as turned.
        scale: factors of x and y from the annotations' pixels to the image's.
    """

    upright: bool
    size: tuple[int, int]
    scale: tuple[float, float] = (1.0, 1.0)

    def boxes(self, boxes: Sequence[Box]) -> list[Box]:
        """Boxes in pixels of the image."""
        x, y = self.scale
        return list(boxes) if self.scale == (1, 1) else [(x * a, y * b, x * c, y * d) for a, b, c, d in boxes]


def open_image(path: Path, image_id: str | None = None, upright: bool = True) -> Image.Image:
    """Reads an image as 8-bit RGB.

    Wider pixels are taken as :func:`nave.data.pixels.eight_bit` says; transparent images are composited over white.

    Args:
        image_id: name of the image in errors; the path if None.
        upright: apply the EXIF orientation. Pillow always applies that of TIFF files.

    Raises:
        UnreadableImageError: for anything but a complete image.
    """
    with _reading(path, image_id) as image:
        orientation = _orientation(image) if upright else 1  # before decoding, which may change it
        rgb = rgb_of_file(image, path)
        return rgb.transpose(_UPRIGHT[orientation]) if orientation in _UPRIGHT else rgb


def image_size(path: Path, image_id: str | None = None, upright: bool = True) -> tuple[int, int]:
    """(height, width) of the result of :func:`open_image`, from the file's header; raises UnreadableImageError."""
    with _reading(path, image_id) as image:
        swapped = upright and _orientation(image) in _SWAPS_SIDES
        return (image.width, image.height) if swapped else (image.height, image.width)


def fit(path: Path, image_id: str, annotated: tuple[int, int] | None, where: str) -> Fit:
    """How an image lies under its annotations.

    Args:
        annotated: (height, width) of the image according to the annotations; None for the image as stored.
        where: the annotations' place, for the error.

    Raises:
        UnreadableImageError: for an image that cannot be read, and one of another size; names both sizes.
    """
    stored = image_size(path, image_id, upright=False)
    if annotated is None or annotated == stored:
        return Fit(False, stored)
    found = fitted(annotated, stored, image_size(path, image_id))
    if found is None:
        reason = f"{stored} pixels (height, width), but {annotated} in {where}: neither turned nor a plain rescale"
        raise UnreadableImageError(image_id, reason)
    return found


@contextmanager
def _reading(path: Path, image_id: str | None) -> Iterator[Image.Image]:
    try:
        with Image.open(path) as image:
            yield image
    except Exception as error:  # Pillow's decoders raise errors of many types on broken files
        raise UnreadableImageError(str(path) if image_id is None else image_id, _reason(error, path)) from error


def _reason(error: Exception, path: Path) -> str:
    if isinstance(error, FileNotFoundError):
        return "no such file"
    if isinstance(error, UnidentifiedImageError):
        if _is_heif(path):
            return "HEIC, for which Pillow needs pillow-heif: pip install 'nave[heic]', or save it as JPEG"
        return "not an image, or of a format that Pillow cannot read"
    return str(error) or type(error).__name__


def _is_heif(path: Path) -> bool:
    with path.open("rb") as file:
        start = file.read(12)
    return start[4:8] == b"ftyp" and start[8:] in _HEIF


def is_turned(path: Path) -> bool:
    """Whether the file has an EXIF orientation, which some programs mind and others do not."""
    with Image.open(path) as image:
        return _orientation(image) != 1


def _orientation(image: Image.Image) -> int:
    if image.format == "TIFF":
        return 1  # Pillow applies it itself, to header and pixels
    if image.format == "PNG" and "exif" not in image.info:
        return 1  # getexif() would decode the pixels to look for an EXIF chunk after them
    return int(image.getexif().get(ExifTags.Base.Orientation, 1))


def read_mask(file: Path, size: tuple[int, int]) -> Int[np.ndarray, "H W"]:
    """Reads a grey or palette image as a mask of int64, of ``size`` (height, width).

    Raises:
        MalformedDataError: for a file that cannot be read, has several channels or another size; names the file.
    """
    try:
        with Image.open(file) as image:
            mask = np.asarray(image)
    except Exception as error:  # as above
        raise MalformedDataError(f"{file}: no mask can be read from it ({_reason(error, file)})") from error
    if mask.shape != size:
        raise MalformedDataError(
            f"{file}: the mask is {mask.shape}, its image {size} (height, width): a mask has one channel and "
            "the size of its image"
        )
    if mask.dtype.kind not in "bui" or mask.min() < 0:
        raise MalformedDataError(f"{file}: {mask.dtype} pixels from {mask.min()}: a mask has ids, integers from 0 on")
    return mask.astype(np.int64)


def fitted(annotated: tuple[int, int], stored: tuple[int, int], upright: tuple[int, int]) -> Fit | None:
    """Decides by three sizes (height, width) how an image lies under its annotations; None if it cannot.

    The image stays as stored where that has the annotated size, and is turned where only then it has it. Else it was
    rescaled, if its sides are those of the annotation times one factor, each rounded up or down.
    """
    ways = [(False, stored), (True, upright)]
    for turned, size in ways:
        if size == annotated:
            return Fit(turned, size)
    for turned, (height, width) in ways:
        if abs(height * annotated[1] - width * annotated[0]) < sum(annotated):
            return Fit(turned, (height, width), (width / annotated[1], height / annotated[0]))
    return None


def checked(boxes: Sequence[Box], size: tuple[int, int], where: Sequence[str]) -> Float[np.ndarray, "M 4"]:
    """Checks boxes, and clips those that exceed their image by at most one pixel.

    Args:
        boxes: xyxy, half-open, in pixels.
        size: (height, width) of the image.
        where: the place of each box, such as its file and line; begins the error.

    Raises:
        MalformedDataError: for a box without area, or further outside of the image.
    """
    for box, place in zip(boxes, where, strict=True):
        if not (box[0] < box[2] and box[1] < box[3]):
            raise MalformedDataError(f"{place}: box {box} is reversed or has no area")
        if leaves(box, size):
            raise MalformedDataError(f"{place}: box {box} leaves its image, {size[1]} x {size[0]} (w x h)")
    return clipped(boxes, size)


def leaves(box: Box, size: tuple[int, int]) -> bool:
    """Whether a box exceeds an image of ``size`` (height, width) by more than a pixel."""
    return min(box[:2]) < -_SLACK or box[2] > size[1] + _SLACK or box[3] > size[0] + _SLACK


def clipped(boxes: Sequence[Box], size: tuple[int, int]) -> Float[np.ndarray, "M 4"]:
    """Boxes clipped to an image of ``size`` (height, width); boxes outside of it end up without area."""
    height, width = size
    return np.clip(np.array(boxes, np.float64).reshape(-1, 4), 0, [width, height, width, height])


def read_text(file: Path) -> str:
    """The text of a UTF-8 file without a byte order mark.

    Raises:
        MalformedDataError: for another encoding; names the file and the line.
    """
    content = file.read_bytes()
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise MalformedDataError(f"{file}, line {line}: not UTF-8 ({error.reason}); save it as UTF-8") from error


def read_list(file: Path) -> list[str]:
    """The lines of a text file, stripped; empty lines are skipped.

    Raises:
        MalformedDataError: for a repeated line or an empty list.
    """
    line_of: dict[str, int] = {}
    for number, entry in enumerate((line.strip() for line in read_text(file).splitlines()), 1):
        if entry in line_of:
            raise MalformedDataError(f"{file}, line {number}: {entry!r} is already on line {line_of[entry]}")
        if entry:
            line_of[entry] = number
    if not line_of:
        raise MalformedDataError(f"{file}: no entry")
    return list(line_of)


def read_rows(file: Path) -> list[list[str]]:
    """The cells of a CSV file, header first; raises MalformedDataError if it cannot be parsed."""
    try:
        return list(csv.reader(io.StringIO(read_text(file), newline=""), strict=True))
    except csv.Error as error:
        raise MalformedDataError(f"{file}: broken CSV: {error}") from error
