"""What does an architecture find before any training, and what after? See README.md here.

NAVE_DATA=… python experiments/architecture/study.py
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
import study  # experiments/study.py

HEADINGS = {
    "object: cluster of its own, by mask": ("mask_found", "any"),
    "object: by box": ("box_found", "any"),
    "scattered pixels": ("scattered", ""),
}
UNTRAINED = ("vits14", "efficientnet_lite0", "resnet18", "convnext_t", "swin_t")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--limit", type=int, default=50, help="images of VOC07 trainval")
    parser.add_argument("--output", type=Path, default=Path("outputs/studies/architecture"))
    given = parser.parse_args()
    start, data = study.clock(), ("data=voc07", f"loader.limit={given.limit}", "overlays=false", "photographs=null")
    for model in UNTRAINED:
        trainings = ["random", "default"] if model in ("vits14", "efficientnet_lite0") else ["random"]
        study.explain(given.output / "runs" / model, trainings, f"model={model}", "k=[3,5]", *data)
    study.compared([given.output / "runs"], given.output, HEADINGS, start)


if __name__ == "__main__":
    main()
