"""What does an architecture find before any training, and what after? See README.md here.

NAVE_DATA=… python experiments/architecture/study.py
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
import study  # experiments/study.py

UNTRAINED = ("vits14", "efficientnet_lite0", "resnet18", "convnext_t", "swin_t")


def main() -> None:
    """The command line."""
    given = study.options(__doc__, "architecture", limit=(50, "images of VOC07 trainval"))
    start, data = study.clock(), ("data=voc07", f"loader.limit={given.limit}", "overlays=false", "photographs=null")
    for model in UNTRAINED:
        trainings = ["random", "default"] if model in ("vits14", "efficientnet_lite0") else ["random"]
        study.explain(given.output / "runs" / model, trainings, f"model={model}", "k=[3,5]", *data)
    study.compared([given.output / "runs"], given.output, start)


if __name__ == "__main__":
    main()
