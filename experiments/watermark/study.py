"""Does a mark that tells the class take over the clusters? See README.md here.

python experiments/watermark/study.py
"""

import sys
from itertools import product
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
import study  # experiments/study.py

CLASS, KS = "square", ("3", "5")
HEADINGS = {
    "saturation": ("saturation", ""),
    "overlap with the mark": ("watermark_overlap", ""),
    "inertia of that cluster": ("watermark_inertia", ""),
    f"{CLASS}: cluster of its own": ("mask_found", CLASS),
}
DATA = ("model=resnet_tiny", "data=shapes")
MARK = ("watermark_size=0.65",)
EXPLAIN = (f"k=[{','.join(KS)}]", "loader.batch_size=50", "overlays=false")
BOXES = ("localization.min_area=16", "localization.border=0")


def main() -> None:
    """The command line."""
    given = study.options(
        __doc__,
        "watermark",
        seeds=(5, "trainings of each kind"),
        epochs=(10, "of each training"),
        images=(300, "to explain; a fifth of them shows the class"),
    )
    start, seeds = study.clock(), range(given.seeds)
    kind = ("augmentation=none", "optimizer.lr=3e-3", f"epochs={given.epochs}", *MARK)
    of = f"seed={','.join(map(str, seeds))}"
    encoders = study.train(given.output / "encoders", *DATA, *kind, of, f"watermark=null,{CLASS}")
    shown = (*DATA, f"data.images={given.images}", *EXPLAIN, *BOXES)
    runs = {
        images: study.explain(given.output / images, list(encoders.values()), *shown, *options)
        for images, options in (("stamped", (f"watermark={CLASS}", *MARK)), ("unstamped", ()))
    }
    measured = study.measured({(images, *key): one for images, some in runs.items() for key, one in some.items()})
    names = {"control": "null", "watermarked": CLASS}

    def line(images: str, condition: str, k: str) -> study.Line:
        some = [measured[images, name, k] for name in encoders if f"watermark_{names[condition]}-" in name]
        return study.lines({f"{images}, K {k}, {condition}": some}, HEADINGS)[0]

    found = {key: line(*key) for key in product(runs, names, KS)}
    gains = [study.differences(found[i, "watermarked", k], found[i, "control", k]) for i, k in product(runs, KS)]
    study.finish(given.output, [*found.values(), *gains], start)
    study.plot([one for (_, _, k), one in found.items() if k == KS[-1]], given.output / "figure")
    pair = {
        told: next(one for (name, k), one in runs["stamped"].items() if k == KS[-1] and f"watermark_{value}-" in name)
        for told, value in names.items()
    }
    marked = [image_id for image_id, line in pair["control"].lines.items() if line.get("watermark")]
    study.show_maps(given.output, pair, marked[:4])


if __name__ == "__main__":
    main()
