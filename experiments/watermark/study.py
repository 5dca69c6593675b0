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
MARK = ("watermark_size=0.65",)


def main() -> None:
    """The command line."""
    given = study.drawn(__doc__, "watermark", seeds=7)
    start, seeds = study.clock(), range(given.seeds)
    kind = (*study.LEARNING, f"epochs={given.epochs}", *MARK)
    of = f"seed={','.join(map(str, seeds))}"
    encoders = study.train(given.output / "encoders", *study.SHAPES, *kind, of, f"watermark=null,{CLASS}")
    shown = (*study.SHAPES, f"data.images={given.images}", f"k=[{','.join(KS)}]", *study.SMALL)
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
