"""Whether runs that are compared are of the same images, and not only of images with the same ids."""

import logging
from array import array
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import combinations, islice
from pathlib import Path

import numpy as np
from jaxtyping import UInt64

from nave.runs.contents import ImageContent, read_contents
from nave.runs.prediction import image_key
from nave.runs.reader import RunAtK

log = logging.getLogger(__name__)


def warn_of_different_images(runs: Sequence[RunAtK]) -> None:
    """Warns of every two runs in which images of equal id come from different files, or have different pixels.

    Studies of stamped or degraded images compare such runs on purpose, so they are not refused. Runs that do not know
    what their images were read from are passed over.
    """
    folders = {run.run.folder.path: run.run.folder for run in runs}
    hashes = [Hashes.read(folder.data()) for folder in folders.values()] if len(folders) > 1 else []
    for (first, ours), (second, theirs) in combinations(zip(folders, hashes, strict=False), 2):
        different, common = ours.different(theirs)
        if different:
            log.warning(
                "%s and %s: %d of %d images of equal id differ (%s): figures compare different pictures",
                *(first, second, len(different), common, ours.image_id(different[0])),
            )


@dataclass(frozen=True, eq=False)
class Hashes:
    """What the images of a run were read from: 16 bytes an image, in the order of ``path``.

    Args:
        keys: Of the ids.
        contents: First bytes of the hashes of files or pixels.
    """

    path: Path
    keys: UInt64[np.ndarray, " N"]
    contents: UInt64[np.ndarray, " N"]

    @classmethod
    def read(cls, path: Path) -> "Hashes":
        """Reads data.jsonl; none if it is missing or damaged."""
        keys, contents = array("Q"), array("Q")
        with suppress(ValueError):
            for content in _readable(path):
                kind, digest = _image_hash(content)
                keys.append(image_key(f"{kind} {content['image_id']}"))  # a file and pixels cannot be compared
                contents.append(image_key(digest))
            return cls(path, np.array(keys, np.uint64), np.array(contents, np.uint64))
        return cls(path, np.empty(0, np.uint64), np.empty(0, np.uint64))

    def different(self, other: "Hashes") -> tuple[list[int], int]:
        """Positions of the images that are others in another run, and the number of common ids."""
        _, ours, theirs = np.intersect1d(self.keys, other.keys, return_indices=True)
        return sorted(ours[self.contents[ours] != other.contents[theirs]].tolist()), len(ours)

    def image_id(self, position: int) -> str:
        """The id of one image, which stays on disk."""
        return next(islice(_readable(self.path), position, None))["image_id"]


def _readable(path: Path) -> Iterator[ImageContent]:
    """The images that could be read."""
    return (content for content in read_contents(path) if "truth" in content)


def _image_hash(content: ImageContent) -> tuple[str, str]:
    """The hash of an image's file, which precedes its annotation and masks, or else of its pixels."""
    file = next(iter(content.get("files", [])), None)
    return ("pixels", content.get("pixels", "")) if file is None else ("file", file["sha256"])
