"""Which objects does an architecture separate before any training, and which after? See README.md here.

NAVE_DATA=… python -m experiments.architecture.study
"""

from experiments import study

UNTRAINED = ("vits14", "efficientnet_lite0", "resnet18", "convnext_t", "swin_t")


def main() -> None:
    """Runs the study."""
    given = study.options(__doc__, "architecture", limit=(50, "images of VOC07 trainval"))
    start, data = study.clock(), (*study.VOC, f"loader.limit={given.limit}", "k=[3,5]")
    for model in UNTRAINED:
        trainings = ["random", "default"] if model in ("vits14", "efficientnet_lite0") else ["random"]
        study.explain(given.output / "runs" / model, trainings, f"model={model}", *data)
    study.compare(given.output / "runs", given.output, start)


if __name__ == "__main__":
    main()
