"""Scores a finished run again from disk, without images and without the encoder: ``python -m nave.evaluate RUN``."""

import argparse
import json
import sys
from pathlib import Path

from nave.metrics.bootstrap import Score
from nave.metrics.prediction import Prediction
from nave.metrics import scores
from nave.results import METRICS, RUN, prediction_folders, read_predictions, write_json
from nave.terminal import score_table, show


def evaluate(run: Path) -> dict[str, dict[str, Score]]:
    """Writes metrics.json beside every predictions.jsonl of the run folder; the scores by sub-folder.

    The options (overlap, difficult boxes, seed) are those of the run's own configuration.

    Raises:
        FileNotFoundError: if ``run`` is not the folder of a finished run.
        ValueError: for a damaged predictions.jsonl, naming file and line.
    """
    folders = prediction_folders(run)
    config = json.loads((run / RUN).read_text())["config"]
    return {
        folder.relative_to(run).as_posix(): _evaluate(folder, config["evaluation"], config["seed"])
        for folder in folders
    }


def _evaluate(folder: Path, options: dict[str, float | bool], seed: int) -> dict[str, Score]:
    images = [Prediction.from_line(line) for line in read_predictions(folder)]
    result = scores(images, **options, seed=seed)
    write_json(folder / METRICS, result)
    return result


def main(arguments: list[str] | None = None) -> int:
    """The command line; exit code 1 with one clear line when the folder cannot be scored."""
    parser = argparse.ArgumentParser(prog="python -m nave.evaluate", description=__doc__)
    parser.add_argument("run", type=Path, nargs="+", help="folder of a finished run")
    for run in parser.parse_args(arguments).run:
        try:
            show(score_table(str(run), evaluate(run)))
        except (FileNotFoundError, ValueError) as error:
            print(f"error: {error}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
