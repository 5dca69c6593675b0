"""Whether the files of a run are whole; the power may have gone while they were written."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from nave.runs.files import read_json
from nave.runs.layout import CENTROIDS, MAPS, ResultsFolder, RunFolder
from nave.runs.prediction import Line, read_lines
from nave.runs.record import Record
from nave.runs.shards import Span, Stored, is_index

ENDINGS = {".png": b"IEND\xaeB`\x82", ".jpg": b"\xff\xd9", ".json": b"\n", ".jsonl": b"\n"}  # of whole files
NOWHERE: Mapping[str, Span] = {}


def damaged(folder: RunFolder, record: Record) -> Path | None:
    """The first file of a finished run that is missing or cut off; the power may have gone."""
    found = (path for k in record["ks"] for path in _damaged(folder.at(k, record["ks"]), record))
    return next(found, None)


def _damaged(results: ResultsFolder, record: Record) -> Iterator[Path]:
    yield from (index for index in results.indices if not is_index(index))
    images = 0
    try:
        for line in read_lines(results):
            images += 1
            if path := damaged_file(results, line, bool(record["config"].get("concepts"))):
                yield path
        if images != record["images"] or (images and not is_whole(results.predictions)):
            yield results.predictions
    except (OSError, ValueError):
        yield results.predictions
    if not _is_json(results.metrics):
        yield results.metrics
    if results.concepts.is_file() and not _is_json(results.concepts):
        yield results.concepts


def damaged_file(
    results: ResultsFolder, line: Line, centroids: bool = False, packed: Mapping[str, Span] = NOWHERE
) -> Path | None:
    """The first file of one image that is missing or cut off; pictures are drawn anew where they are missing.

    Args:
        centroids: Whether those of every image are kept.
        packed: Where they lie in shards, as far as that is known without an index.
    """
    image_id = line["image_id"]
    stored = results.stored(MAPS, image_id, packed.get(MAPS))
    if not stored.ends_with(ENDINGS[".png"]):
        return stored.path
    if line["k"] is not None and (centroids or "segmentation" in line or "watermark" in line):
        try:
            results.read_centroids(image_id, packed.get(CENTROIDS))
        except ValueError:
            return results.stored(CENTROIDS, image_id, packed.get(CENTROIDS)).path
    return None


def is_whole(path: Path) -> bool:
    """Whether a file exists and ends as files of its kind do; one that the power cut does not."""
    return Stored(path, path.name).ends_with(ENDINGS[path.suffix])


def _is_json(path: Path) -> bool:
    try:
        read_json(path)
    except (OSError, ValueError):
        return False
    return is_whole(path)
