"""Does a class that was left out of training get a cluster? See README.md here.

python -m experiments.missing_class.study
"""

from experiments import study
from nave.comparison.measure import Figures
from nave.data.shapes import CLASSES

LEFT_OUT = "circle"
QUANTITIES = {
    f"{LEFT_OUT}: overlap": ("mask_overlap", LEFT_OUT),
    f"{LEFT_OUT}: cluster of its own": ("mask_found", LEFT_OUT),
    "others: overlap": ("mask_overlap", "others"),
    "others: cluster of their own": ("mask_found", "others"),
}


def with_others(figures: Figures) -> Figures:
    """Adds the concept ``others``: the classes that every training saw."""
    others = {
        (quantity, "others"): {k: v for name in CLASSES if name != LEFT_OUT for k, v in figures[quantity, name].items()}
        for quantity in ("mask_overlap", "mask_found")
    }
    return figures | others


def main() -> None:
    """Runs the study."""
    given = study.shapes_options(__doc__, "missing_class", seeds=3)
    start = study.clock()
    runs = study.train_and_explain(given, f"exclude=[],[{LEFT_OUT}]")
    measured = {name: with_others(figures) for name, figures in study.measured(runs).items()}
    conditions = {"all classes": "exclude_-", f"without {LEFT_OUT}": f"exclude_{LEFT_OUT}", "random": "random"}
    by_condition = {
        condition: [figures for name, figures in measured.items() if part in name]
        for condition, part in conditions.items()
    }
    complete, without, random = lines = study.lines(by_condition, QUANTITIES)
    gains = [study.differences(without, complete), study.differences(without, random)]
    study.finish(given.output, [*lines, *gains], start)
    study.plot(lines, given.output / "figure")
    shown = {
        condition: next(run for name, run in runs.items() if part in name) for condition, part in conditions.items()
    }
    predictions = shown["random"].lines
    circles = [name for name, line in predictions.items() if line["truth"] and line["truth"]["classes"] == [LEFT_OUT]]
    study.show_maps(given.output, shown, circles[:4])


if __name__ == "__main__":
    main()
