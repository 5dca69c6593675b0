"""Which K, and how many layers? See README.md here.

NAVE_DATA=… python experiments/k-and-layers/study.py
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
import study  # experiments/study.py

LAYERS = "[-1],[-2,-1],[-4,-3,-2,-1]"


def main() -> None:
    """The command line."""
    given = study.options(__doc__, "k-and-layers", limit=(50, "images of VOC07 trainval"))
    start, data = study.clock(), ("data=voc07", f"loader.limit={given.limit}", "overlays=false", "photographs=null")
    for model in ("efficientnet_lite0", "vits14"):
        study.explain(
            given.output / "runs" / model, ["default"], f"model={model}", "k=[2,3,5,7,10]", f"layers={LAYERS}", *data
        )
    study.compared([given.output / "runs"], given.output, start)


if __name__ == "__main__":
    main()
