"""Which K, and how many layers? See README.md here.

NAVE_DATA=… python -m experiments.k_and_layers.study
"""

from experiments import study

KS, LAYERS = "k=[2,3,5,7,10]", "layers=[-1],[-2,-1],[-4,-3,-2,-1]"


def main() -> None:
    """Runs the study."""
    given = study.options(__doc__, "k_and_layers", limit=(50, "images of VOC07 trainval"))
    start, data = study.clock(), (*study.VOC, f"loader.limit={given.limit}", KS, LAYERS)
    for model in ("efficientnet_lite0", "vits14"):
        study.explain(given.output / "runs" / model, ["default"], f"model={model}", *data)
    study.compare(given.output / "runs", given.output, start)


if __name__ == "__main__":
    main()
