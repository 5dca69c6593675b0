"""The part of the report that shows a diff: what changed from one encoder to the next."""

from collections.abc import Sequence
from typing import Any

from nave.comparison.diff import Diff, rows_of
from nave.comparison.diff_display import lines, step_figures
from nave.comparison.pictures import Picture
from nave.report import concepts, plots
from nave.runs.labels import names_without_k
from nave.runs.reader import RunAtK


def script_data(diff: Diff, images: Sequence[Picture]) -> dict[str, Any]:
    """The pairs, with the numbers of their images in the page, the ones that changed most first."""
    numbers = {picture.image_id: number for number, picture in enumerate(images)}
    pairs = [
        {
            "before": pair["before"],
            "after": pair["after"],
            "images": [
                dict(line) | {"number": numbers[line["image_id"]]}
                for line in pair["images"]
                if line["image_id"] in numbers
            ],
        }
        for pair in diff["pairs"]
    ]
    return {"pairs": pairs, "steps": diff["steps"]}


def title(diff: Diff, shown: Sequence[RunAtK]) -> str:
    """``random → imagenet1k``: the first and the last encoder."""
    names = names_without_k(shown)
    models = ", ".join(dict.fromkeys(run.settings["model"] for run in shown))
    ends = (diff["steps"][0], diff["steps"][-1]) if diff["steps"] else (names[0], names[-1])
    return f"{models}: {' → '.join(ends)}"


def context(diff: Diff, shown: Sequence[RunAtK]) -> dict[str, Any]:
    """What the template shows: a table for every pair, and curves over the steps of a training."""
    measured, names = rows_of(diff), names_without_k(shown)
    ks = dict.fromkeys(run.k for run in shown)
    several = len(ks) > 1
    pairs = [(pair["before"], pair["after"]) for pair in diff["pairs"]]
    curves = {k: step_figures(shown, measured, k) for k in ks} if diff["steps"] else {}
    steps = {k: [name for name, run in zip(diff["steps"], shown, strict=True) if run.k == k] for k in curves}
    titles = [
        f"{names[before]} → {names[after]}" + (f", K {shown[before].k}" if several else "") for before, after in pairs
    ]
    return {
        "counterpart": diff["counterpart"],
        "tables": [
            (title, lines(measured, shown, before, after)) for title, (before, after) in zip(titles, pairs, strict=True)
        ],
        "concepts": [
            (title, concepts.pairs_of(measured, shown[before], shown[after], (names[before], names[after])))
            for title, (before, after) in zip(titles, pairs, strict=True)
        ],
        "curves": [plots.over_steps(steps[k], curve, f"K = {k}") for k, curve in curves.items()],
        "curve_key": plots.samples(list(next(iter(curves.values())))) if curves else [],
        "steps": bool(diff["steps"]),
    }
