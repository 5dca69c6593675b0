"""Pages of overlays before and after the head: images at regular distances, and every kind of miss."""

from collections.abc import Sequence
from pathlib import Path

from experiments.one_box import failures
from experiments.one_box.tables import HEAD, HIT, NAVE, Found, encoders
from nave.comparison.figure import figure, save
from nave.comparison.pictures import Picture
from nave.runs.reader import RunAtK

SHOWN, ROWS = 40, 10  # images before and after, and on a page
Pair = tuple[RunAtK, RunAtK]  # before and after, on the same images


def draw(folder: Path, found: Found) -> None:
    """Writes ``images_N.png`` and ``KIND_N.png`` under the first encoder, the rows as in ``pictures.txt``."""
    encoder = encoders(found)[0]
    pairs = [_named(found[encoder, NAVE][data], run) for data, run in found[encoder, HEAD].items()]
    every = [(pair, image_id) for pair in pairs for image_id in pair[1].lines]
    count = min(SHOWN, len(every))
    pages = {"images": [every[number * len(every) // count] for number in range(count)]}
    for kind in failures.KINDS:
        pages[kind.replace(" ", "_")] = [(pair, i) for pair, i in every if _misses(pair[1], i, kind)][:ROWS]
    text = [line for name, images in pages.items() for line in _draw(folder, name, images)]
    (folder / "pictures.txt").write_text("\n".join(text) + "\n")


def _named(before: RunAtK, after: RunAtK) -> Pair:
    named = (("today's rule", before), ("with head", after))
    first, second = (run.with_settings({"model": "", "training": name, "k": run.k}) for name, run in named)
    return first, second


def _misses(run: RunAtK, image_id: str, kind: str) -> bool:
    overlap = run.overlaps[image_id]
    return overlap is not None and overlap < HIT and failures.of_line(run.lines[image_id]) == kind


def _draw(folder: Path, name: str, images: Sequence[tuple[Pair, str]]) -> list[str]:
    text = []
    for number, first in enumerate(range(0, len(images), ROWS), 1):
        rows = images[first : first + ROWS]
        page = figure(rows[0][0], [Picture(image_id, pair) for pair, image_id in rows], columns=1)
        save(page, folder / f"{name}_{number}.png")
        text += [f"{name}_{number}.png:", *(_described(pair, image_id) for pair, image_id in rows)]
    return text


def _described(pair: Pair, image_id: str) -> str:
    said = []
    for run in pair:
        overlap = run.overlaps[image_id]
        kind = "no object" if overlap is None else "hit" if overlap >= HIT else failures.of_line(run.lines[image_id])
        said.append(kind if overlap is None else f"{overlap:.2f} {kind}")
    return f"  {image_id}: {' -> '.join(said)}"
