"""Does a class that training never saw get a cluster? See README.md here.

python experiments/missing-class/study.py
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
import study  # experiments/study.py

from nave.comparison.measure import Figures
from nave.data.shapes import CLASSES

LEFT_OUT = "circle"
HEADINGS = {
    f"{LEFT_OUT}: overlap": ("mask_overlap", LEFT_OUT),
    f"{LEFT_OUT}: cluster of its own": ("mask_found", LEFT_OUT),
    "others: overlap": ("mask_overlap", "others"),
    "others: cluster of their own": ("mask_found", "others"),
}


def with_others(found: Figures) -> Figures:
    """The classes that every training saw, as one concept."""
    others = {
        (quantity, "others"): {k: v for name in CLASSES if name != LEFT_OUT for k, v in found[quantity, name].items()}
        for quantity in ("mask_overlap", "mask_found")
    }
    return found | others


def main() -> None:
    """The command line."""
    given = study.drawn(__doc__, "missing-class", seeds=3)
    start = study.clock()
    runs = study.against_untrained(given, f"exclude=[],[{LEFT_OUT}]")
    measured = {name: with_others(one) for name, one in study.measured(runs).items()}
    parts = {"all classes": "exclude_-", f"without {LEFT_OUT}": f"exclude_{LEFT_OUT}", "random": "random"}
    by = {told: [one for name, one in measured.items() if part in name] for told, part in parts.items()}
    found = study.lines(by, HEADINGS)
    study.finish(
        given.output, [*found, study.differences(found[1], found[0]), study.differences(found[1], found[2])], start
    )
    study.plot(found, given.output / "figure")
    shown = {told: next(one for name, one in runs.items() if part in name) for told, part in parts.items()}
    lines = next(iter(shown.values())).lines
    study.show_maps(given.output, shown, [name for name in lines if lines[name]["truth"]["classes"] == [LEFT_OUT]][:4])


if __name__ == "__main__":
    main()
