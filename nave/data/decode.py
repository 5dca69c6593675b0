"""Image files of any mode as upright 8-bit RGB."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

from nave.data.photograph import UnreadableImage

_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_TURNED = (5, 6, 7, 8)  # those that swap height and width


def open_image(path: Path, image_id: str | None = None, upright: bool = True) -> Image.Image:
    """The image in `path` as RGB, turned as its EXIF orientation asks when `upright`.

    16-bit grey is divided by 257; transparency is laid over white. Raises UnreadableImage, naming `image_id`
    or else the path, for anything that is no complete image.
    """
    with _reading(path, image_id) as image:
        orientation = _orientation(image) if upright else 1  # before decoding, which changes the answer
        rgb = _rgb(image)
        return rgb.transpose(_UPRIGHT[orientation]) if orientation in _UPRIGHT else rgb


def image_size(path: Path, image_id: str | None = None, upright: bool = True) -> tuple[int, int]:
    """(height, width) of what `open_image` returns, from the file's header; raises UnreadableImage."""
    with _reading(path, image_id) as image:
        turned = upright and _orientation(image) in _TURNED
        return (image.width, image.height) if turned else (image.height, image.width)


@contextmanager
def _reading(path: Path, image_id: str | None) -> Iterator[Image.Image]:
    try:
        with Image.open(path) as image:
            yield image
    except Exception as error:  # Pillow's decoders raise whatever a broken file led them to
        raise UnreadableImage(str(path) if image_id is None else image_id, _reason(error)) from error


def _reason(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "no such file"
    if isinstance(error, UnidentifiedImageError):
        return "not an image, or of a kind that Pillow cannot read"
    return str(error) or type(error).__name__


def _orientation(image: Image.Image) -> int:
    if image.format == "TIFF":
        return 1  # Pillow turns these itself, header and pixels
    if image.format == "PNG" and "exif" not in image.info:
        return 1  # getexif() would decode every pixel to look for an EXIF chunk behind them
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
