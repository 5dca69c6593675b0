"""Synthetic shapes on textured backgrounds: a data set with exact masks that needs no download."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8
from PIL import Image

from nave.data.interface import GroundTruth

SPLITS = ("train", "val", "test")
PERIOD = 8  # of a pattern, in pixels
CLEAR = -1  # value of pixels without a paper scrap
Points = Float[np.ndarray, "_ _"]


@dataclass(frozen=True)
class Kind:
    """One class: its shape (a function of coordinates from -1 to 1) and its pattern (of coordinates in periods)."""

    inside: Callable[[Points, Points], Bool[np.ndarray, "_ _"]]
    pattern: Callable[[Points, Points], Bool[np.ndarray, "_ _"]]


KINDS = {
    "circle": Kind(lambda y, x: y**2 + x**2 < 1, lambda y, x: np.hypot(y, x) % 1 < 0.5),
    "cross": Kind(lambda y, x: np.minimum(abs(y), abs(x)) < 0.4, lambda _, x: x % 1 < 0.5),
    "diamond": Kind(lambda y, x: abs(y) + abs(x) < 1, lambda y, x: (x + y) / 1.4 % 1 < 0.5),
    "square": Kind(lambda y, x: np.maximum(abs(y), abs(x)) < 0.85, lambda y, x: (y % 1 < 0.5) ^ (x % 1 < 0.5)),
    "triangle": Kind(lambda y, x: 2 * abs(x) < y + 1, lambda y, _: y % 1 < 0.5),
}
CLASSES = tuple(KINDS)


@dataclass(frozen=True, eq=False)
class Drawing:
    """One image and the mask of its object."""

    pixels: UInt8[np.ndarray, "H W 3"]
    inside: Bool[np.ndarray, "H W"]
    kind: str


class Shapes:
    """One object per image, from five classes that differ in shape and fill pattern.

    The pattern has the same two colours as the blotches of the background around it, and both drift across the image,
    so neither colour nor contrast separates the object from the background. Scraps of printed paper, independent of the
    class, serve as distractors. A trained network can therefore find the object by its class; an untrained one only by
    chance. Equal arguments give equal images.

    Args:
        split: train, val or test; each has images of its own.
        size: height and width in pixels.

    Raises:
        ValueError: for another split, or a size too small for an object.
    """

    name = "shapes"
    exclusive = True

    def __init__(self, split: str, *, images: int, size: int, seed: int) -> None:
        if split not in SPLITS:
            raise ValueError(f"split={split}: choose from {', '.join(SPLITS)}")
        if size < 4 * PERIOD:
            raise ValueError(f"size={size}: must be at least {4 * PERIOD} pixels")
        self._split, self._images, self._size, self._seed = split, images, size, seed
        self._drawn: dict[int, Drawing] = {}

    def __len__(self) -> int:
        return self._images

    def image_id(self, index: int) -> str:
        """Split and position, such as ``test_000245``."""
        return f"{self._split}_{range(len(self))[index]:06d}"

    def image(self, index: int) -> Image.Image:
        """The image, generated on first use."""
        return Image.fromarray(self._drawing(index).pixels)

    def size(self, index: int) -> tuple[int, int]:  # noqa: ARG002 - all images have one size
        """(height, width), both equal to the argument ``size``."""
        return self._size, self._size

    def labels(self, index: int) -> tuple[str, ...]:
        """The class of the object; classes alternate."""
        return (CLASSES[range(len(self))[index] % len(CLASSES)],)

    def truth(self, index: int) -> GroundTruth:
        """The bounding box of the object."""
        ys, xs = np.nonzero(self._drawing(index).inside)
        box = [xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]
        return GroundTruth(np.array([box], np.float64), self.labels(index), (False,))

    def mask(self, index: int) -> Int[np.ndarray, "H W"]:
        """Class of every pixel: 0 background, 1 circle to 5 triangle."""
        mask: Int[np.ndarray, "H W"] = self.object_mask(index) * (range(len(self))[index] % len(CLASSES) + 1)
        return mask

    def object_mask(self, index: int) -> Int[np.ndarray, "H W"]:
        """1 inside the object, 0 elsewhere."""
        return self._drawing(index).inside.astype(np.int64)

    def mask_classes(self) -> dict[int, str]:
        """Names of the classes 1 to 5."""
        return dict(enumerate(CLASSES, 1))

    def _drawing(self, index: int) -> Drawing:
        """The cached drawing, since training asks for an image in every epoch."""
        if index not in self._drawn:
            digest = hashlib.sha256(f"{self._seed}/{self.image_id(index)}".encode()).digest()
            generator = np.random.default_rng(int.from_bytes(digest[:8]))
            self._drawn[index] = draw(self.labels(index)[0], self._size, generator)
        return self._drawn[index]


def draw(kind: str, size: int, generator: np.random.Generator) -> Drawing:
    """An image with one object whose width is 0.44 to 0.6 of the image's."""
    inside, pattern = _object(KINDS[kind], size, generator)
    blotches = _smooth(generator, size, size // (PERIOD // 2)) > 0
    drift = np.stack([_smooth(generator, size, 3) for _ in range(3)], axis=2)
    contrast = 20 + 40 * abs(_smooth(generator, size, 3))
    signed = np.where(np.where(inside, pattern, blotches), contrast, -contrast)[..., None]
    pixels = 128 + 45 * drift + signed + generator.normal(0, 8, (size, size, 3))
    paper = np.where(inside, CLEAR, _papers(generator, size))[..., None]
    return Drawing(np.where(paper == CLEAR, pixels, paper).clip(0, 255).astype(np.uint8), inside, kind)


def _object(
    kind: Kind, size: int, generator: np.random.Generator
) -> tuple[Bool[np.ndarray, "H W"], Bool[np.ndarray, "H W"]]:
    """The mask of the object, and its pattern over the whole image."""
    radius = generator.uniform(0.22, 0.3) * size
    centre = generator.uniform(radius, size - radius, 2)
    y, x = (np.mgrid[:size, :size] + 0.5) - centre[:, None, None]
    within = np.maximum(abs(y), abs(x)) < radius
    phase = (0, 0) if kind is KINDS["circle"] else generator.uniform(0, 1, 2)
    return kind.inside(y / radius, x / radius) & within, kind.pattern(y / PERIOD + phase[0], x / PERIOD + phase[1])


def _papers(generator: np.random.Generator, size: int) -> Float[np.ndarray, "H W"]:
    """Three scraps of print, black on white or white on black, some of them ink without paper; CLEAR elsewhere."""
    scraps = np.full((size, size), float(CLEAR))
    for _ in range(3):
        height, width = (generator.uniform((0.12, 0.25), (0.3, 0.65)) * size).astype(int)
        top, left = (generator.uniform(0, 1, 2) * (size - height, size - width)).astype(int)
        ink, bare = 255.0 * generator.integers(2), generator.random() < 0.4
        cells = generator.random((height // 2 + 1, width // 2 + 1)) < 0.4
        print_ = np.pad(np.kron(cells, np.ones((2, 2), bool))[2 : height - 2, 2 : width - 2], 2)
        scrap = scraps[top : top + height, left : left + width]
        scrap[...] = np.where(print_, ink, scrap if bare else 255 - ink)
    return scraps


def _smooth(generator: np.random.Generator, size: int, cells: int) -> Points:
    """Noise with mean 0 and standard deviation 1 that varies over ``size / cells`` pixels."""
    coarse = Image.fromarray(generator.standard_normal((cells, cells)).astype(np.float32))
    noise = np.asarray(coarse.resize((size, size), Image.Resampling.BICUBIC), np.float64)
    standard: Points = (noise - noise.mean()) / noise.std()
    return standard
