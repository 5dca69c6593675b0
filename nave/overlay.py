"""Draws overlays that a run has left out, from maps and data set: ``python -m nave.overlay RUN IMAGE_ID``."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from omegaconf import OmegaConf

from nave.near_names import near
from nave.runs.layout import OVERLAYS
from nave.viz.terminal import command

if TYPE_CHECKING:
    from nave.runs.reader import Run

FEW = 3  # images whose files are listed


@command
def main(arguments: list[str] | None = None) -> None:
    """Runs the command."""
    parser = argparse.ArgumentParser(prog="python -m nave.overlay", description=__doc__)
    parser.add_argument("run", type=Path, help="folder of a finished run")
    parser.add_argument("image_id", nargs="*", help="images to draw (default: all)")
    given = parser.parse_args(arguments)
    # they import torch, which takes seconds that --help need not take
    from nave.build import build_dataset
    from nave.runs.pictures import Artist, draw
    from nave.runs.reader import Run

    run = Run.read(given.run)
    if not run.finished:
        raise FileNotFoundError(f"{given.run} is not finished: {run.record['status']}")
    if unknown := set(given.image_id) - run.at_k[0].lines.keys():
        raise ValueError(f"no image {min(unknown)!r} in {given.run}.{near(min(unknown), run.at_k[0].lines)}")
    config = OmegaConf.create(run.record["config"])
    artist = Artist(run.folder, build_dataset(config, config.data), None)
    asked = given.image_id or [*run.at_k[0].lines]
    found = draw(artist, [at_k.results for at_k in run.at_k], asked)
    _tell("drawn", [one for one in asked if found.get(one)], run)
    _tell("drawn before", [one for one in asked if one not in found], run)
    _tell("that can no longer be read", [one for one in asked if not found.get(one, True)])


def _tell(what: str, image_ids: list[str], run: "Run | None" = None) -> None:
    """How many images, and where their overlays are; of a few each file. Without ``run`` their ids."""
    if image_ids:
        places = image_ids
        if run is not None:
            folders = [at_k.results for at_k in run.at_k]
            files = [str(folder.overlay(one)) for folder in folders for one in image_ids]
            places = files if len(image_ids) <= FEW else [f"in {folder.path / OVERLAYS}" for folder in folders]
        print(f"{len(image_ids)} image{'s' * (len(image_ids) > 1)} {what}: {', '.join(places)}")


if __name__ == "__main__":
    sys.exit(main())
