"""Does a watermark that reveals the class take over the clusters? See README.md here.

python -m experiments.watermark.study
"""

from itertools import product

from experiments import study

CLASS, KS = "square", ("3", "5")
QUANTITIES = {
    "saturation": ("saturation", ""),
    "overlap with the mark": ("watermark_overlap", ""),
    "inertia of that cluster": ("watermark_inertia", ""),
    f"{CLASS}: cluster of its own": ("mask_found", CLASS),
}
CONDITIONS = {"control": "watermark_null-", "watermarked": f"watermark_{CLASS}-"}  # parts of the encoders' names
SIZE = "watermark_size=0.65"


def main() -> None:
    """Runs the study."""
    given = study.shapes_options(__doc__, "watermark", seeds=7)
    start, seeds = study.clock(), f"seed={','.join(map(str, range(given.seeds)))}"
    training = (*study.SHAPES, *study.LEARNING, f"epochs={given.epochs}", SIZE, seeds)
    encoders = study.train(given.output / "encoders", *training, f"watermark=null,{CLASS}")
    data = (*study.SHAPES, f"data.images={given.images}", f"k=[{','.join(KS)}]", *study.SMALL)
    runs = {
        images: study.explain(given.output / images, list(encoders.values()), *data, *watermark)
        for images, watermark in (("stamped", (f"watermark={CLASS}", SIZE)), ("unstamped", ()))
    }
    measured = study.measured({(images, *key): run for images, by_key in runs.items() for key, run in by_key.items()})

    def line(images: str, condition: str, k: str) -> study.Line:
        figures = [measured[images, name, k] for name in encoders if CONDITIONS[condition] in name]
        return study.lines({f"{images}, K {k}, {condition}": figures}, QUANTITIES)[0]

    lines = {key: line(*key) for key in product(runs, CONDITIONS, KS)}
    gains = [study.differences(lines[i, "watermarked", k], lines[i, "control", k]) for i, k in product(runs, KS)]
    study.finish(given.output, [*lines.values(), *gains], start)
    study.plot([one for (_, _, k), one in lines.items() if k == KS[-1]], given.output / "figure")
    shown = {
        condition: next(run for (name, k), run in runs["stamped"].items() if k == KS[-1] and part in name)
        for condition, part in CONDITIONS.items()
    }
    marked = [image_id for image_id, prediction in shown["control"].lines.items() if prediction.get("watermark")]
    study.show_maps(given.output, shown, marked[:4])


if __name__ == "__main__":
    main()
