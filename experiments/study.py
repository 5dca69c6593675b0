"""What the studies share: trainings and runs by the project's own commands, figures over seeds, a table, a plot."""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from nave.compare import compare, write
from nave.comparison.measure import Figures, figures
from nave.comparison.paired import average
from nave.comparison.rows import Row, present_at, stamped
from nave.comparison.seeds import over_seeds
from nave.figure import STYLE, WIDTHS, figure, save
from nave.metrics.bootstrap import Score
from nave.report.collect import Variant, runs, variants
from nave.report.pictures import Picture
from nave.report.plots import LINES, MARKERS
from nave.terminal import score_text

Wanted = Mapping[str, tuple[str, str]]  # heading -> quantity and concept of nave.comparison
SHAPES = ("model=resnet_tiny", "data=shapes")
LEARNING = ("augmentation=none", "optimizer.lr=3e-3")  # where each pixel of a shape tells its class
SMALL = ("loader.batch_size=50", "overlays=false", "localization.min_area=16", "localization.border=0")  # 64 x 64
IN_SCENES: Wanted = {
    "object: by mask": ("mask_found", "any"),
    "object: by box": ("box_found", "any"),
    "person: by mask": ("mask_found", "person"),
    "person: by box": ("box_found", "person"),
    "scattered pixels": ("scattered", ""),
}


def options(told: str | None, output: str, **numbers: tuple[int, str]) -> argparse.Namespace:
    """The command line of a study: integers with their defaults and meanings, and ``--output``, a folder."""
    parser = argparse.ArgumentParser(description=told, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, (default, meaning) in numbers.items():
        parser.add_argument(f"--{name}", type=int, default=default, help=meaning)
    parser.add_argument("--output", type=Path, default=Path("outputs/studies", output))
    return parser.parse_args()


def drawn(told: str | None, output: str, seeds: int) -> argparse.Namespace:
    """The same for trainings on drawn shapes."""
    return options(
        told,
        output,
        seeds=(seeds, "trainings of each kind"),
        epochs=(10, "of each training"),
        images=(300, "to explain; a fifth of them shows each class"),
    )


def nave(module: str, *overrides: str) -> None:
    """``python -m nave.<module> <overrides>``; its failure ends the study."""
    print(f"python -m nave.{module} {' '.join(overrides)}", flush=True)
    subprocess.run([sys.executable, "-m", f"nave.{module}", *overrides], check=True)


def train(folder: Path, *overrides: str) -> dict[str, Path]:
    """A multirun of nave.train into ``folder``; every encoder's file by its name.

    Raises:
        RuntimeError: if a training failed, with its reason.
    """
    nave("train", "-m", f"outputs={folder}", *overrides)
    for path in sorted(folder.glob("*/run.json")):
        record = json.loads(path.read_text())
        if record["status"] != "ok":
            raise RuntimeError(f"{path}: {record['status']}: {record.get('error')}")
    return {path.stem: path for path in sorted(folder.glob("*.safetensors"))}


def explain(folder: Path, encoders: Sequence[Path | str], *overrides: str) -> dict[tuple[str, str], Variant]:
    """A multirun of nave.run over ``encoders`` (files, or training schemes); by training and K.

    Runs that are complete already are not repeated.
    """
    chosen = ",".join(f'"{encoder}"' if isinstance(encoder, Path) else encoder for encoder in encoders)
    nave("run", "-m", f"hydra.sweep.dir={folder}", f"training={chosen}", "skip_existing=true", *overrides)
    return found(folder)


def against_untrained(given: argparse.Namespace, kinds: str) -> dict[str, Variant]:
    """Trains every seed by ``kinds``, the sweep over what is compared, and leaves as many untrained; the same new
    images explained by all, K = 3, by the encoder's name.
    """
    folder, seeds = given.output / "encoders", f"seed={','.join(map(str, range(given.seeds)))}"
    train(folder, *SHAPES, "scheme=random", seeds)
    encoders = train(folder, *SHAPES, *LEARNING, f"epochs={given.epochs}", kinds, seeds)
    shown = (*SHAPES, f"data.images={given.images}", "k=3", *SMALL)
    return {name: one for (name, _), one in explain(given.output / "runs", list(encoders.values()), *shown).items()}


def found(*folders: Path) -> dict[tuple[str, str], Variant]:
    """The finished runs below ``folders`` by training and K, in the order of their names."""
    some = {(one.run.record["training"], one.k): one for one in variants(runs(folders))}
    return dict(sorted(some.items(), key=lambda item: item[0]))


def measured(some: Mapping[Any, Variant]) -> dict[Any, Figures]:
    """Every figure of every run; where one run's images are stamped, all are measured there."""
    watermarks = stamped(list(some.values()))  # type: ignore[arg-type]
    return {key: figures(one.folder, one.lines, watermarks) for key, one in some.items()}


@dataclass(frozen=True)
class Line:
    """One condition: a figure's mean over seeds for each heading, and each seed's own."""

    condition: str
    scores: Mapping[str, Score]
    seeds: Mapping[str, Sequence[float]]


def lines(by_condition: Mapping[str, Sequence[Figures]], wanted: Wanted) -> list[Line]:
    """One a condition; several seeds have Student's interval over them, a lone one its bootstrap over images."""
    return [_line(condition, some, wanted) for condition, some in by_condition.items()]


def _line(condition: str, some: Sequence[Figures], wanted: Wanted) -> Line:
    each = {heading: [average(one.get(key, {})) for one in some] for heading, key in wanted.items()}
    values = {heading: [score["value"] for score in scores] for heading, scores in each.items()}
    known = {heading: [value for value in some if value is not None] for heading, some in values.items()}
    return Line(
        condition,
        {
            heading: over_seeds(known[heading], scores[0]["images"]) if len(known[heading]) > 1 else scores[0]
            for heading, scores in each.items()
        },
        known,
    )


def differences(ours: Line, theirs: Line) -> Line:
    """Ours minus theirs, seed by seed."""
    gains = {h: [a - b for a, b in zip(ours.seeds[h], theirs.seeds[h], strict=True)] for h in ours.seeds}
    scores = {h: over_seeds(some, ours.scores[h]["images"]) for h, some in gains.items() if len(some) > 1}
    return Line(f"{ours.condition} minus {theirs.condition}", scores, gains)


def table(some: Sequence[Line]) -> str:
    """Markdown: percent with the 95 % interval, then each seed's figure."""
    headings = list(some[0].scores)
    head = ["condition", *headings]
    body = [[line.condition, *(_cell(line, heading) for heading in headings)] for line in some]
    return "\n".join(f"| {' | '.join(row)} |" for row in [head, ["---"] * len(head), *body])


def _cell(line: Line, heading: str) -> str:
    if heading not in line.scores:
        return "-"
    each = ", ".join(f"{value:.0f}" for value in line.seeds[heading])
    return score_text(line.scores[heading]) + (f"; {each}" if len(line.seeds[heading]) > 1 else "")


def plot(some: Sequence[Line], path: Path) -> None:
    """A point with its interval for each condition and heading; every seed is a small dot. PNG and PDF."""
    headings = list(some[0].scores)
    with mpl.rc_context(STYLE | {"axes.spines.top": False, "axes.spines.right": False}):
        page = Figure(figsize=(WIDTHS[2], 2.4), layout="constrained")
        ax = page.subplots()
        for number, line in enumerate(some):
            style = {"color": LINES[number % len(LINES)], "marker": MARKERS[number % len(MARKERS)]}
            for place, heading in enumerate(headings):
                x, score = place + 0.6 * (number - (len(some) - 1) / 2) / len(some), line.scores[heading]
                ax.vlines(x, score["low"], score["high"], color=style["color"])
                ax.plot(
                    [x + 0.06] * len(line.seeds[heading]), line.seeds[heading], ".", color=style["color"], alpha=0.4
                )
                label = line.condition if place == 0 else None
                ax.plot(x, score["value"], linestyle="none", markersize=4, label=label, **style)
        ax.set(ylabel="percent", ylim=(-4, 104))
        ax.set_xticks(range(len(headings)), headings)
        ax.grid(axis="y", linewidth=0.3)
        page.legend(loc="outside upper left", ncols=len(some), frameon=False)
    for suffix in (".pdf", ".png"):
        save(page, path.with_suffix(suffix))


def finish(folder: Path, some: Sequence[Line], start: float) -> None:
    """outcome.md and outcome.json beside the figures, and the table on the screen; ``start`` is of :func:`clock`."""
    text = f"{table(some)}\n\n{(clock() - start) / 60:.1f} minutes\n"
    (folder / "outcome.md").write_text(text)
    content = [{"condition": one.condition, "scores": one.scores, "seeds": one.seeds} for one in some]
    (folder / "outcome.json").write_text(json.dumps(content, indent=2) + "\n")
    print(text)


def show_maps(folder: Path, named: Mapping[str, Variant], image_ids: Sequence[str]) -> None:
    """maps.png and maps.pdf, a journal's column wide: the same images under several encoders, in aligned colours."""
    some = [replace(one, settings={"model": "", "training": name, "k": one.k}) for name, one in named.items()]
    page = figure(some, [Picture(image_id, tuple(some)) for image_id in image_ids], columns=1)
    for suffix in ("pdf", "png"):
        save(page, folder / f"maps.{suffix}")


def clock() -> float:
    """Seconds."""
    return time.perf_counter()


def selected(some: Sequence[Row]) -> str:
    """Markdown of a comparison: one row a run and K, one column a heading of IN_SCENES; percent, 95 % interval."""
    scores = {(row.run, row.k, row.quantity, row.concept): row.score for row in some if not row.against}
    body = [
        [run, k, *(score_text(scores[run, k, *key]) if (run, k, *key) in scores else "-" for key in IN_SCENES.values())]
        for run, k in dict.fromkeys((row.run, row.k) for row in some if not row.against)
    ]
    head = ["encoder", "K", *IN_SCENES]
    return "\n".join(f"| {' | '.join(row)} |" for row in [head, ["---"] * len(head), *body])


def compared(folders: Sequence[Path], output: Path, start: float) -> None:
    """comparison.json, .csv, .png and .pdf as nave.compare writes them; outcome.md with what IN_SCENES names."""
    _, some = compare(folders)
    write(output, some)
    told = [
        f"- {run}, {concept}: {', '.join(map(str, ks)) or 'none of these'}"
        for name in ("any", "person")
        for (concept, run), ks in present_at(some, "mask_found").items()
        if concept == name
    ]
    parts = [selected(some), "A cluster of its own, by mask, in half of the images or more, at K:", "\n".join(told)]
    text = "\n\n".join([*parts, f"{(clock() - start) / 60:.1f} minutes"]) + "\n"
    (output / "outcome.md").write_text(text)
    print(text)
