"""Reading the files of data sets: images of any mode, masks, boxes, text; errors name the file."""

import csv
import io
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

import numpy as np
from jaxtyping import Float, Int
from PIL import ExifTags, Image, UnidentifiedImageError

from nave.data.interface import MalformedDataError, UnreadableImageError

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


def open_image(path: Path, image_id: str | None = None, upright: bool = True) -> Image.Image:
    """Reads an image as 8-bit RGB.

    16-bit grey values are divided by 257; transparent images are composited over white.

    Args:
        path: the image file.
        image_id: name of the image in errors; the path if None.
        upright: apply the EXIF orientation. Pillow always applies that of TIFF files.

    Raises:
        UnreadableImageError: for anything but a complete image.
    """
    with _reading(path, image_id) as image:
        orientation = _orientation(image) if upright else 1  # before decoding, which may change it
        rgb = _rgb(image)
        return rgb.transpose(_UPRIGHT[orientation]) if orientation in _UPRIGHT else rgb


def image_size(path: Path, image_id: str | None = None, upright: bool = True) -> tuple[int, int]:
    """(height, width) of the result of :func:`open_image`, from the file's header; raises UnreadableImageError."""
    with _reading(path, image_id) as image:
        swapped = upright and _orientation(image) in _SWAPS_SIDES
        return (image.width, image.height) if swapped else (image.height, image.width)


@contextmanager
def _reading(path: Path, image_id: str | None) -> Iterator[Image.Image]:
    try:
        with Image.open(path) as image:
            yield image
    except Exception as error:  # Pillow's decoders raise errors of many types on broken files
        raise UnreadableImageError(str(path) if image_id is None else image_id, _reason(error)) from error


def _reason(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "no such file"
    if isinstance(error, UnidentifiedImageError):
        return "not an image, or of a format that Pillow cannot read"
    return str(error) or type(error).__name__


def _orientation(image: Image.Image) -> int:
    if image.format == "TIFF":
        return 1  # Pillow applies it itself, to header and pixels
    if image.format == "PNG" and "exif" not in image.info:
        return 1  # getexif() would decode the pixels to look for an EXIF chunk after them
    return int(image.getexif().get(ExifTags.Base.Orientation, 1))


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):
        return Image.fromarray(_grey_of_integers(np.asarray(image))).convert("RGB")
    if image.mode == "F":
        return Image.fromarray(_grey_of_floats(np.asarray(image))).convert("RGB")
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")
    return image.convert("RGB")


def _grey_of_integers(values: np.ndarray) -> np.ndarray:
    if values.min() < 0 or values.max() > 65535:
        raise ValueError(f"grey values {values.min()} to {values.max()}: integers must lie in 0 to 65535")
    return np.rint(values / 257).astype(np.uint8)


def _grey_of_floats(values: np.ndarray) -> np.ndarray:
    if not (values.min() >= 0 and values.max() <= 255):
        raise ValueError(f"grey values {values.min()} to {values.max()}: floats must lie in 0 to 1 or 0 to 255")
    grey: np.ndarray = np.rint(values * (255 if values.max() <= 1 else 1))
    return grey.astype(np.uint8)


def read_mask(file: Path, size: tuple[int, int]) -> Int[np.ndarray, "H W"]:
    """Reads a grey or palette image as a mask of int64.

    Args:
        file: the mask.
        size: the expected (height, width).

    Raises:
        MalformedDataError: for a file that cannot be read, has several channels or another size; names the file.
    """
    try:
        with Image.open(file) as image:
            mask = np.asarray(image)
    except (OSError, SyntaxError, ValueError) as error:
        raise MalformedDataError(f"{file}: no mask can be read from it ({error})") from error
    if mask.shape != size:
        raise MalformedDataError(
            f"{file}: the mask is {mask.shape}, its image {size} (height, width): a mask has one channel and "
            "the size of its image"
        )
    return mask.astype(np.int64)


def checked(boxes: Sequence[Box], size: tuple[int, int], where: Sequence[str]) -> Float[np.ndarray, "M 4"]:
    """Checks boxes, and clips those that exceed their image by at most one pixel.

    Args:
        boxes: xyxy, half-open, in pixels.
        size: (height, width) of the image.
        where: the place of each box, such as its file and line; begins the error.

    Raises:
        MalformedDataError: for a box without area, or further outside of the image.
    """
    height, width = size
    for (x1, y1, x2, y2), place in zip(boxes, where, strict=True):
        if not (x1 < x2 and y1 < y2):
            raise MalformedDataError(f"{place}: box {(x1, y1, x2, y2)} is reversed or has no area")
        if min(x1, y1) < -_SLACK or x2 > width + _SLACK or y2 > height + _SLACK:
            raise MalformedDataError(f"{place}: box {(x1, y1, x2, y2)} leaves its image, {width} x {height} (w x h)")
    return clipped(boxes, size)


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


def unique_ids(names: Sequence[str]) -> list[str]:
    """Image ids: relative posix paths without suffix; paths that differ only in the suffix keep it."""
    stems = [PurePosixPath(name).with_suffix("").as_posix() for name in names]
    count = Counter(stems)
    ids = [stem if count[stem] == 1 else name for stem, name in zip(stems, names, strict=True)]
    return ids if len(set(ids)) == len(ids) else list(names)


def require_files(folder: Path, names: Sequence[str], listed_in: Path) -> None:
    """Checks that every file of a list exists.

    Args:
        folder: the folder of the files.
        names: paths relative to the folder.
        listed_in: the list, named in the error.

    Raises:
        MalformedDataError: if some are missing; names the first five.
    """
    if absent := _absent_files(folder, names):
        first = ", ".join(absent[:5]) + (" …" if len(absent) > 5 else "")
        raise MalformedDataError(f"{listed_in}: {len(absent)} of {len(names)} files are not in {folder}: {first}")


def _absent_files(folder: Path, names: Iterable[str]) -> list[str]:
    listings: dict[Path, frozenset[str]] = {}  # each folder is read once, which is faster than a look at every file
    absent = []
    for name in names:
        place = (folder / name).parent
        if place not in listings:
            listings[place] = frozenset(path.name for path in place.glob("*"))
        if PurePosixPath(name).name not in listings[place]:
            absent.append(name)
    return absent
