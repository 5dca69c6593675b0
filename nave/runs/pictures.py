"""Pictures for people: overlays and copies of photographs, drawn from maps, predictions and the data set.

They are drawn when a run has its scores: of all images of a small run, else of the worst, the best and random ones.
Any other is drawn when it is asked for: ``python -m nave.overlay RUN IMAGE_ID``.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from nave.data.interface import Dataset, UnreadableImageError, positions
from nave.processes.distributed import share_of_cores
from nave.processes.pool import each
from nave.runs.damage import is_whole
from nave.runs.files import write_image
from nave.runs.layout import MAPS, ResultsFolder, RunFolder
from nave.runs.prediction import Line, read_lines
from nave.viz.overlay import QUALITY, overlay, shrunk

FEW = 8  # images that are not worth processes of their own


@dataclass(frozen=True)
class Artist:
    """Draws the pictures of one image; called in any process.

    Args:
        longest: Longer side in pixels of the copies of the photographs; None for no copies.
    """

    folder: RunFolder
    dataset: Dataset
    longest: int | None

    def __call__(self, image: "Drawn") -> bool:
        """Draws one image; False for one that can no longer be read, and has no pictures."""
        try:
            photograph = self.dataset.image(image.index)
        except UnreadableImageError:
            return False
        if self.longest:
            keep_photograph(photograph, self.folder, image.image_id, self.longest)
        for results, line in image.over_k:
            picture = overlay_of(results, line, photograph)
            write_image(picture, results.overlay(image.image_id), quality=95, subsampling=0)
        return True


@dataclass(frozen=True, eq=False)
class Drawn:
    """An image to be drawn, its results and predictions over K."""

    image_id: str
    index: int
    over_k: Sequence[tuple[ResultsFolder, Line]]


def keep_photograph(image: Image.Image, folder: RunFolder, image_id: str, longest: int) -> None:
    """Writes the small copy of one image."""
    write_image(shrunk(image, longest), folder.photograph(image_id), quality=QUALITY, optimize=True)


def overlay_of(results: ResultsFolder, line: Line, photograph: Image.Image) -> Image.Image:
    """The overlay of one image, in the colours of its map; the photograph has its own size."""
    labels, colours = results.read_coloured_map(line["image_id"])
    truth = line["truth"]
    return overlay(photograph, labels, line["box"], [] if truth is None else truth["boxes"], colours)


def draw(artist: Artist, places: Iterable[ResultsFolder], image_ids: Collection[str] | None = None) -> dict[str, bool]:
    """Draws images in several processes, unless their pictures are newer than their maps; without ``image_ids`` all.

    Returns:
        Whether an image could be read, by the ids of those that were not drawn yet.
    """
    images = [image for image in _images(artist, list(places), image_ids) if _is_due(artist, image)]
    drawn = each(artist, images, processes=0 if len(images) < FEW else share_of_cores(1))
    return {image.image_id: read for image, read in zip(images, drawn, strict=True)}


def _images(artist: Artist, places: Sequence[ResultsFolder], image_ids: Collection[str] | None) -> list[Drawn]:
    found: dict[str, list[tuple[ResultsFolder, Line]]] = {}
    for results in places:
        for line in read_lines(results):
            if image_ids is None or line["image_id"] in image_ids:
                found.setdefault(line["image_id"], []).append((results, line))
    indices = positions(artist.dataset, found)
    return [Drawn(image_id, indices[image_id], over_k) for image_id, over_k in found.items()]


def _is_due(artist: Artist, image: Drawn) -> bool:
    """Whether a picture is missing, torn, or older than a map."""
    pictures = [artist.folder.photograph(image.image_id)] if artist.longest else []
    pictures += [results.overlay(image.image_id) for results, _ in image.over_k]
    maps = [results.stored(MAPS, image.image_id).path for results, _ in image.over_k]
    return not all(is_whole(picture) and _age(picture) >= max(map(_age, maps)) for picture in pictures)


def _age(path: Path) -> int:
    return path.stat().st_mtime_ns
