"""Draws overlays that a run has left out, from maps and data set: ``python -m nave.overlay RUN IMAGE_ID``."""

import argparse
import sys
from pathlib import Path

from omegaconf import OmegaConf

from nave.viz.terminal import command


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
        raise ValueError(f"no image {min(unknown)!r} in {given.run}")
    config = OmegaConf.create(run.record["config"])
    artist = Artist(run.folder, build_dataset(config, config.data), None)
    count = draw(artist, [at_k.results for at_k in run.at_k], given.image_id or None)
    print(f"{count} images drawn to {', '.join(str(at_k.results.path / 'overlays') for at_k in run.at_k)}")


if __name__ == "__main__":
    sys.exit(main())
