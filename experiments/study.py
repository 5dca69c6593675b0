"""Shared by the studies: training and explaining with NAVE's commands, scores over seeds, tables and plots."""

import argparse
import subprocess
import sys
import time
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from nave.comparison.display import write
from nave.comparison.figure import STYLE, WIDTHS, figure, save
from nave.comparison.measure import Figures, figures
from nave.comparison.pictures import Picture, chosen_runs
from nave.comparison.rows import Row, average, over_seeds, present_by_run, rows, stamped
from nave.metrics.bootstrap import Score
from nave.runs.files import write_json
from nave.runs.reader import RunAtK, read_runs, runs_at_k
from nave.viz.palette import LINES, MARKERS
from nave.viz.terminal import score_text

Key = TypeVar("Key", bound=Hashable)
Quantities = Mapping[str, tuple[str, str]]  # heading -> quantity and concept of nave.comparison
SHAPES = ("model=resnet_tiny", "data=shapes")
LEARNING = ("augmentation=none", "optimizer.lr=3e-3")  # for data in which every pixel of a shape shows its class
SMALL = ("loader.batch_size=50", "overlays=0", "localization.min_area=16", "localization.border=0")  # 64 x 64
VOC = ("data=voc07", "overlays=0", "photographs=null")
IN_SCENES: Quantities = {
    "object: by mask": ("mask_found", "any"),
    "object: by box": ("box_found", "any"),
    "person: by mask": ("mask_found", "person"),
    "person: by box": ("box_found", "person"),
    "fragmentation": ("fragmentation", ""),
}


def options(description: str | None, name: str, **numbers: tuple[int, str]) -> argparse.Namespace:
    """Parses the command line of the study ``name``: integers by name (default and help), and ``--output``."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    for option, (default, meaning) in numbers.items():
        parser.add_argument(f"--{option}", type=int, default=default, help=meaning)
    parser.add_argument("--output", type=Path, default=Path("outputs/studies", name))
    return parser.parse_args()


def shapes_options(description: str | None, name: str, seeds: int) -> argparse.Namespace:
    """Parses the command line of a study that trains on drawn shapes."""
    return options(
        description,
        name,
        seeds=(seeds, "trainings per condition"),
        epochs=(10, "epochs of each training"),
        images=(300, "images to explain; a fifth of them shows each class"),
    )


def command(module: str, *overrides: str) -> None:
    """Runs ``python -m nave.<module> <overrides>``; the study ends if it fails."""
    print(f"python -m nave.{module} {' '.join(overrides)}", flush=True)
    subprocess.run([sys.executable, "-m", f"nave.{module}", *overrides], check=True)


def train(folder: Path, *overrides: str) -> dict[str, Path]:
    """Trains encoders in a multirun of nave.train into ``folder``; returns their files by name.

    Raises:
        RuntimeError: If a training failed, with its error.
    """
    command("train", "-m", f"outputs={folder}", *overrides)
    for run in read_runs([folder]):
        if not run.finished:
            raise RuntimeError(f"{run.folder.record}: {run.record['status']}: {run.record.get('error')}")
    return {path.stem: path for path in sorted(folder.glob("*.safetensors"))}


def explain(folder: Path, encoders: Sequence[Path | str], *overrides: str) -> dict[tuple[str, str], RunAtK]:
    """Explains with ``encoders`` (files or training schemes) in a multirun of nave.run; returns runs by training and K.

    Finished runs are not repeated. One rule chooses every encoder's boxes: a foreground head would be another learner.
    """
    trainings = ",".join(f'"{encoder}"' if isinstance(encoder, Path) else encoder for encoder in encoders)
    common = (f"hydra.sweep.dir={folder}", f"training={trainings}", "foreground=off", "skip_existing=true")
    command("run", "-m", *common, *overrides)
    runs = {(run.run.record["training"], run.k): run for run in runs_at_k(read_runs([folder]))}
    return dict(sorted(runs.items()))


def train_and_explain(given: argparse.Namespace, conditions: str) -> dict[str, RunAtK]:
    """Trains every seed under ``conditions`` (an override with several values), and as many untrained encoders.

    Returns:
        The runs of all encoders on the same new images at K = 3, by the encoder's name.
    """
    folder, seeds = given.output / "encoders", f"seed={','.join(map(str, range(given.seeds)))}"
    train(folder, *SHAPES, "scheme=random", seeds)
    encoders = train(folder, *SHAPES, *LEARNING, f"epochs={given.epochs}", conditions, seeds)
    data = (*SHAPES, f"data.images={given.images}", "k=3", *SMALL)
    return {name: run for (name, _), run in explain(given.output / "runs", list(encoders.values()), *data).items()}


def measured(runs: Mapping[Key, RunAtK]) -> dict[Key, Figures]:
    """All quantities of all runs; unstamped images are measured at the place of the watermark."""
    watermarks = stamped(runs.values())
    return {key: figures(run, watermarks) for key, run in runs.items()}


@dataclass(frozen=True)
class Line:
    """One condition in the table of a study: by heading, the mean over seeds and the value of each seed."""

    condition: str
    scores: Mapping[str, Score]
    seeds: Mapping[str, Sequence[float]]


def lines(by_condition: Mapping[str, Sequence[Figures]], quantities: Quantities) -> list[Line]:
    """One line per condition; the interval is Student's over seeds, or that over images for a single seed."""
    return [_line(condition, seeds, quantities) for condition, seeds in by_condition.items()]


def _line(condition: str, seeds: Sequence[Figures], quantities: Quantities) -> Line:
    scores = {heading: [average(key[0], seed.get(key, {})) for seed in seeds] for heading, key in quantities.items()}
    values = {h: [score["value"] for score in each if score["value"] is not None] for h, each in scores.items()}
    return Line(
        condition,
        {h: over_seeds(values[h], each[0]["images"]) if len(values[h]) > 1 else each[0] for h, each in scores.items()},
        values,
    )


def differences(ours: Line, theirs: Line) -> Line:
    """Ours minus theirs, paired by seed."""
    gains = {h: [a - b for a, b in zip(ours.seeds[h], theirs.seeds[h], strict=True)] for h in ours.seeds}
    scores = {h: over_seeds(each, ours.scores[h]["images"]) for h, each in gains.items() if len(each) > 1}
    return Line(f"{ours.condition} minus {theirs.condition}", scores, gains)


def table(table_lines: Sequence[Line]) -> str:
    """Markdown table: percent with the 95 % interval, then the value of each seed."""
    headings = list(table_lines[0].scores)
    body = [[line.condition, *(_cell(line, heading) for heading in headings)] for line in table_lines]
    return _markdown(["condition", *headings], body)


def _cell(line: Line, heading: str) -> str:
    if heading not in line.scores:
        return "-"
    seeds = ", ".join(f"{value:.0f}" for value in line.seeds[heading])
    return score_text(line.scores[heading]) + (f"; {seeds}" if len(line.seeds[heading]) > 1 else "")


def _markdown(head: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in [head, ["---"] * len(head), *body])


def plot(plot_lines: Sequence[Line], path: Path) -> None:
    """Plots a point with its interval per condition and heading, and a small dot per seed; writes PNG and PDF."""
    headings = list(plot_lines[0].scores)
    with mpl.rc_context(STYLE | {"axes.spines.top": False, "axes.spines.right": False}):
        page = Figure(figsize=(WIDTHS[2], 2.4), layout="constrained")
        ax = page.subplots()
        for number, line in enumerate(plot_lines):
            colour, marker = LINES[number % len(LINES)], MARKERS[number % len(MARKERS)]
            for place, heading in enumerate(headings):
                x, score = place + 0.6 * (number - (len(plot_lines) - 1) / 2) / len(plot_lines), line.scores[heading]
                if score["low"] is not None and score["high"] is not None:
                    ax.vlines(x, score["low"], score["high"], color=colour)
                ax.plot([x + 0.06] * len(line.seeds[heading]), line.seeds[heading], ".", color=colour, alpha=0.4)
                label = line.condition if place == 0 else None
                value = np.nan if score["value"] is None else score["value"]
                ax.plot(x, value, label=label, color=colour, marker=marker, markersize=4, linestyle="none")
        ax.set(ylabel="percent", ylim=(-4, 104))
        ax.set_xticks(range(len(headings)), headings)
        ax.grid(axis="y", linewidth=0.3)
        page.legend(loc="outside upper left", ncols=len(plot_lines), frameon=False)
    for suffix in (".pdf", ".png"):
        save(page, path.with_suffix(suffix))


def finish(folder: Path, table_lines: Sequence[Line], start: float) -> None:
    """Writes outcome.json and outcome.md with the minutes since ``start`` (of :func:`clock`); prints the latter."""
    content = [{"condition": line.condition, "scores": line.scores, "seeds": line.seeds} for line in table_lines]
    write_json(folder / "outcome.json", content)
    _write_outcome(folder, [table(table_lines)], start)


def finish_parts(folder: Path, parts: Mapping[str, Sequence[Line]], start: float) -> None:
    """Does what :func:`finish` does for several tables, by their titles."""
    content = {title: [asdict(line) for line in part] for title, part in parts.items()}
    write_json(folder / "outcome.json", content)
    _write_outcome(folder, [text for title, part in parts.items() for text in (f"**{title}**", table(part))], start)


def _write_outcome(folder: Path, paragraphs: Sequence[str], start: float) -> None:
    text = "\n\n".join([*paragraphs, f"{(clock() - start) / 60:.1f} minutes"]) + "\n"
    (folder / "outcome.md").write_text(text)
    print(text)


def show_maps(folder: Path, named: Mapping[str, RunAtK], image_ids: Sequence[str]) -> None:
    """Writes maps.png and maps.pdf, one column wide: images under several encoders, in aligned colours."""
    runs = [run.with_settings({"model": "", "training": name, "k": run.k}) for name, run in named.items()]
    page = figure(runs, [Picture(image_id, tuple(runs)) for image_id in image_ids], columns=1)
    for suffix in ("pdf", "png"):
        save(page, folder / f"maps.{suffix}")


def clock() -> float:
    """A time in seconds."""
    return time.perf_counter()


def selected(comparison: Sequence[Row]) -> str:
    """Markdown table of a comparison: one row per run and K, one column per heading of IN_SCENES."""
    scores = {(row.run, row.k, row.quantity, row.concept): row.score for row in comparison if not row.against}
    body = [
        [run, k, *(score_text(scores[run, k, *key]) if (run, k, *key) in scores else "-" for key in IN_SCENES.values())]
        for run, k in dict.fromkeys((row.run, row.k) for row in comparison if not row.against)
    ]
    return _markdown(["encoder", "K", *IN_SCENES], body)


def compare(folder: Path, output: Path, start: float) -> None:
    """Compares the runs below ``folder``; writes the files of nave.compare and outcome.md."""
    comparison = rows(chosen_runs([folder], []))
    write(output, comparison)
    present = [
        f"- {run}, {concept}: {', '.join(map(str, ks)) or 'none of these'}"
        for name in ("any", "person")
        for (concept, run), ks in present_by_run(comparison, "mask_found").items()
        if concept == name
    ]
    heading = "A cluster of its own, by mask, in half of the images or more, at K:"
    _write_outcome(output, [selected(comparison), heading, "\n".join(present)], start)
