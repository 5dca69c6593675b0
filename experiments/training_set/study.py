"""Does training on ImageNet1K give persons a cluster, and from which K on? See README.md here.

NAVE_DATA=… python -m experiments.training_set.study
"""

from experiments import study


def main() -> None:
    """Runs the study."""
    given = study.options(__doc__, "training_set", limit=(100, "images of VOC07 trainval"))
    start, data = study.clock(), (*study.VOC, f"loader.limit={given.limit}", "k=[3,5,7,10]")
    for model in ("efficientnet_lite0", "vits14"):
        study.explain(given.output / "runs" / model, ["random", "default"], f"model={model}", *data)
    study.compare(given.output / "runs", given.output, start)


if __name__ == "__main__":
    main()
