"""Which method puts its one box on an object, under which encoder, and what does the foreground head add?

See README.md here.

NAVE_DATA=… python -m experiments.one_box.study
"""

import argparse
from pathlib import Path

from experiments import study
from experiments.one_box import pictures, tables
from experiments.one_box.tables import HEAD, NAVE, WHOLE, Found
from nave.runs.reader import read_runs, runs_at_k

METHODS = {
    NAVE: ("localization=nave", "foreground=off"),
    HEAD: ("localization=nave", "foreground=auto"),
    "LOST": ("localization=lost",),
    "TokenCut": ("localization=tokencut",),
    WHOLE: ("localization=whole_image",),  # whatever the encoder: with the first one alone
}


def explain(given: argparse.Namespace) -> Found:
    """Runs every method with every encoder on every data set."""
    common = ["overlays=0", "photographs=null", "concepts=0", "k=3", f"cache={given.output / 'activations'}"]
    common += [f"loader.limit={given.limit}", "skip_existing=true", f"data={','.join(given.data)}"]
    found: Found = {}
    for method, options in METHODS.items():
        folder = given.output / "runs" / method.replace(" ", "_")
        models, trainings = (given.models[:1], "default") if method == WHOLE else (given.models, "default,random")
        encoders = (f"model={','.join(models)}", f"training={trainings}")
        study.command("run", "-m", f"hydra.sweep.dir={folder}", *options, *encoders, *common)
        for run in runs_at_k(read_runs([folder])):
            record = run.run.record
            by_data = found.setdefault((f"{record['model']} {record['training']}", method), {})
            by_data[record["data"]] = run
    return found


def main() -> None:
    """Runs the study."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", default=["voc07", "voc12", "coco"], help="data sets")
    parser.add_argument("--models", nargs="+", default=["vits14", "efficientnet_lite0"], help="trained and random")
    parser.add_argument("--limit", type=int, default=100, help="images of every data set")
    parser.add_argument("--output", type=Path, default=Path("outputs/studies/one_box"))
    given = parser.parse_args()
    start, found = study.clock(), explain(given)
    values, gains = tables.corloc(found)
    parts = {
        "CorLoc": values,
        "CorLoc, paired differences": gains,
        "All protocols: the head's gain": tables.protocols(found),
        "Ingredients of the head": tables.ablation(found),
        "Misses": tables.misses(found),
    }
    study.finish_parts(given.output, parts, start)
    study.plot(tables.by_method(found), given.output / "figure")
    pictures.draw(given.output, found)


if __name__ == "__main__":
    main()
